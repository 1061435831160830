"""The papers agree with the code: no setting and no route undocumented, or documented in vain."""

import re
from pathlib import Path

from models.settings import ROOT, Settings

README = (ROOT / "README.md").read_text(encoding="utf-8")
SETTING = re.compile(r"^\| `([A-Z0-9_]+)` \| (?:`([^`]*)`)? ?\|", re.M)


def _default(name: str) -> str:
    value = Settings.model_fields[name.lower()].default
    if isinstance(value, Path) and value.is_absolute():
        return str(value.relative_to(ROOT))
    return "" if value is None else str(value)


def test_the_readme_lists_every_setting_with_its_default() -> None:
    documented = dict(SETTING.findall(README))
    assert documented == {name.upper(): _default(name) for name in Settings.model_fields}


def test_the_example_environment_names_every_setting_once() -> None:
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    names = re.findall(r"^#?([A-Z0-9_]+)=", example, re.M)
    assert sorted(names) == sorted(name.upper() for name in Settings.model_fields)


def test_the_readme_lists_every_route() -> None:
    from api.main import app

    paths = {path.replace("{key:path}", "{key}") for path in app.openapi()["paths"]}
    documented = set(re.findall(r"`(/[^` ]*)`", README))
    assert paths - documented == set()
    assert {p for p in documented if p.startswith(("/api", "/admin", "/auth"))} - paths == {
        "/api/v1"
    }


def test_every_file_that_the_papers_name_is_there() -> None:
    for paper in ("README.md", "ARCHITECTURE.md"):
        text = (ROOT / paper).read_text(encoding="utf-8")
        linked = re.findall(r"\]\(([\w./-]+)\)", text)
        named = re.findall(r"`((?:api|worker|models|devops|bench|tests)/[\w./-]*\w)`", text)
        for name in linked + named:
            assert (ROOT / name).exists(), f"{paper} names {name}"


def test_every_bench_command_in_the_readme_exists() -> None:
    for name in re.findall(r"python -m (bench[\w.]*)", README):
        path = ROOT / name.replace(".", "/")
        assert path.with_suffix(".py").exists() or (path / "__main__.py").exists()


def test_make_help_lists_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.M))
    assert targets <= set(re.findall(r"^([a-z-]+):.*## ", makefile, re.M))
