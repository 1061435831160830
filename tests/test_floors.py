"""The house's floors and doors: who may import whom, and how short the way of an order is."""

import ast
import re
from pathlib import Path

import pytest

from tests.conftest import run_python

ROOT = Path(__file__).resolve().parent.parent
FLOORS = {  # floor: the floors below that it may use
    "models": {"models"},
    "api": {"api", "models"},
    "worker": {"worker", "models"},
    "alembic": {"models"},
    "seed": {"models", "worker.weave"},
    "devops": set[str](),
}
OURS = ("api", "models", "seed", "worker")
DOORS = {  # library: the files that may import it
    "sqlalchemy": ("models/", "alembic/"),
    "psycopg": ("models/",),
    "boto3": ("models/",),
    "botocore": ("models/",),
    "fastapi": ("api/",),
    "starlette": ("api/",),
    "jwt": ("api/auth.py",),
    "PIL": ("api/swatches.py", "api/thumbnails.py", "devops/"),
    "torch": ("worker/engines/sdxl", "worker/doctor.py"),
    "diffusers": ("worker/engines/sdxl",),
    "cv2": ("worker/", "devops/"),
}
NEVER_IN_NAMES = {"utils", "helpers", "common", "core", "services", "managers"}
SPINE = re.compile(r"^\| \d+ \| `(?P<file>[\w/]+\.py)` \| `(?P<function>[\w.]+)\(\)` \|", re.M)


def _sources() -> list[Path]:
    folders = [ROOT / name for name in ("api", "models", "worker", "alembic", "devops")]
    found = [path for folder in folders for path in folder.rglob("*.py")]
    return [*found, ROOT / "seed.py"]


def _imports(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def _is_within(name: str, allowed: set[str]) -> bool:
    return any(name == a or name.startswith(f"{a}.") or a.startswith(f"{name}.") for a in allowed)


@pytest.mark.parametrize("path", _sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_each_floor_imports_only_what_lies_below(path: Path) -> None:
    allowed = FLOORS[path.relative_to(ROOT).parts[0].removesuffix(".py")]
    ours = {name for name in _imports(path) if name.split(".")[0] in OURS}
    assert {name for name in ours if not _is_within(name, allowed)} == set()


@pytest.mark.parametrize("path", _sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_heavy_libraries_come_in_by_one_door(path: Path) -> None:
    file = str(path.relative_to(ROOT))
    for library in {name.split(".")[0] for name in _imports(path)} & set(DOORS):
        assert file.startswith(DOORS[library]), f"{file} imports {library}"


@pytest.mark.parametrize("path", _sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_only_the_settings_read_the_environment(path: Path) -> None:
    file = str(path.relative_to(ROOT))
    text = path.read_text(encoding="utf-8")
    if not file.startswith("devops/"):  # runs our commands, imports nothing of ours
        assert "os.environ" not in text
        assert "getenv" not in text


def test_every_file_says_what_it_is_for_and_is_one_noun() -> None:
    for path in _sources():
        assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), path
        assert not NEVER_IN_NAMES & set(path.with_suffix("").parts), path


def test_no_package_shadows_a_library() -> None:
    assert not (ROOT / "alembic" / "__init__.py").exists()
    assert not (ROOT / "tests" / "api" / "__init__.py").exists()


def test_the_api_and_the_drape_worker_load_no_torch() -> None:
    loads = "import sys, api.main, worker.__main__, worker.engines.drape; print(*sys.modules)"
    loaded = run_python("-c", loads, DATABASE_URL="postgresql://unused").stdout.split()
    assert "worker.engines.drape" in loaded
    assert "torch" not in loaded


def test_an_order_goes_through_at_most_five_files() -> None:
    """The table in ARCHITECTURE.md is the way of an order; each step is called by the one before,
    or by one before that."""
    steps = SPINE.findall((ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8"))
    assert len(steps) >= 6
    assert len({file for file, _ in steps}) <= 5
    above: list[str] = []
    for file, name in steps:
        tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
        assert name.rpartition(".")[2] in _functions(tree), f"{file} has no {name}"
        entry = above == [] or name in ("Loop.run", "read_job")  # somebody outside calls these
        called = any(name.rpartition(".")[2] in text for text in above)
        assert entry or called, f"nothing before it calls {name}"
        above.append((ROOT / file).read_text(encoding="utf-8"))


def _functions(tree: ast.AST) -> set[str]:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in ast.walk(tree) if isinstance(node, kinds)}
