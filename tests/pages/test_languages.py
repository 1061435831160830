"""Spanish, English and the pseudo-locale: which one is spoken, and that nothing stays unsaid."""

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from string import Formatter
from typing import Any

import httpx
import pytest

from api import language, pseudo
from api.language import PAGES, Sentences, told
from models import errors
from models.settings import ROOT
from tests.conftest import OWNER_PASSWORD

ROOMS = ("strings", "console", "clients")
LANG_OF = {"es": "es-MX", "en": "en", "pseudo": pseudo.LANG}
WORD = re.compile(r"[^\W\d_]{2,}")
# Sentences that are the same in both: names, units, loanwords.
SAME = {
    "Atelier Virtual",
    "Lookbook",
    "Lookbooks",
    "mm",
    "5 cm",
    "{cloth}, {cut}",
    "Final",
    "Token",
    "no",
}
# These name parts of the catalogue, which is written in Spanish.
OF_THE_CATALOGUE = ("catalogue.cut.", "catalogue.family.")
SPANISH_ERRORS = re.compile(r"[áéíóúñ¿¡«]|\b(El|La|Los|Las|Un|Una|Falta|Elige|No|Ya|Hay|Ese)\b")


def leaves(branch: Any, before: str = "") -> Iterator[tuple[str, str]]:
    """(dotted key, sentence) of everything in a file of sentences."""
    if isinstance(branch, str):
        yield before.rstrip("."), branch
        return
    entries = branch.items() if isinstance(branch, dict) else enumerate(branch)
    for name, value in entries:
        yield from leaves(value, f"{before}{name}.")


def shared(room: str, name: str) -> dict[str, str]:
    found = dict(leaves(Sentences(room).of[name]))
    return {key: text for key, text in found.items() if not key.startswith(OF_THE_CATALOGUE)}


def placeholders(sentence: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(sentence) if name is not None}


@pytest.fixture
def lang_of(client: httpx.Client) -> Callable[..., str]:
    """The `lang` of the sales floor for a request with these keywords."""

    def ask(**request: Any) -> str:
        found = re.search('<html lang="([^"]+)"', client.get("/", **request).text)
        assert found
        return found[1]

    return ask


@pytest.mark.parametrize("room", ROOMS)
def test_english_says_everything_that_spanish_says_and_nothing_else(room: str) -> None:
    spanish, english = shared(room, "es"), shared(room, "en")
    assert len(spanish) > 100
    assert spanish.keys() == english.keys()
    assert {key: placeholders(text) for key, text in spanish.items()} == {
        key: placeholders(text) for key, text in english.items()
    }


@pytest.mark.parametrize("room", ROOMS)
def test_no_sentence_is_left_in_spanish(room: str) -> None:
    spanish, english = shared(room, "es"), shared(room, "en")
    same = {key: text for key, text in spanish.items() if english[key] == text}
    spoken = {key: text for key, text in same.items() if WORD.search(re.sub(r"{\w*}", "", text))}
    assert set(spoken.values()) <= SAME
    assert not [text for text in english.values() if re.search(r"[áéíóúñ¿¡«»]", text)]


@pytest.mark.parametrize("room", ROOMS)
def test_the_pseudo_locale_dresses_every_sentence_and_keeps_its_placeholders(room: str) -> None:
    spanish, dressed = (
        dict(leaves(Sentences(room).of["es"])),
        dict(leaves(Sentences(room).of["pseudo"])),
    )
    assert spanish.keys() == dressed.keys()
    for key, text in spanish.items():
        if key != "lang" and not key.endswith(".lang"):
            assert placeholders(dressed[key]) == placeholders(text)
            assert len(dressed[key]) >= len(text) * (1 + pseudo.LONGER)


@pytest.mark.parametrize("name", LANG_OF)
def test_the_address_chooses_the_language_and_a_cookie_keeps_it(
    client: httpx.Client, lang_of: Callable[..., str], name: str
) -> None:
    assert lang_of(params={"lang": name}) == LANG_OF[name]
    cookie = client.get("/", params={"lang": name}).headers["set-cookie"]
    assert cookie.startswith(f"lang={name}; Path=/;")
    assert "SameSite=Lax" in cookie
    client.cookies.clear()
    assert lang_of(headers={"Cookie": f"lang={name}"}) == LANG_OF[name]
    assert lang_of(headers={"Cookie": f"lang={name}"}, params={"lang": "es"}) == "es-MX"
    client.cookies.clear()


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", "es-MX"),
        ("en-GB,en;q=0.9", "en"),
        ("fr-FR, en;q=0.7, es;q=0.8", "es-MX"),
        ("es;q=0, en;q=0.1", "en"),
        ("de", "es-MX"),
        ("en;q=banana, ;;,q=", "en"),
        ("*", "es-MX"),
    ],
)
def test_else_the_browsers_first_choice_among_ours_and_spanish_by_default(
    lang_of: Callable[..., str], header: str, expected: str
) -> None:
    assert lang_of(headers={"Accept-Language": header}) == expected


def test_a_language_that_we_do_not_speak_changes_and_keeps_nothing(client: httpx.Client) -> None:
    answer = client.get("/", params={"lang": "xx\r\nSet-Cookie: a=b"})
    assert '<html lang="es-MX">' in answer.text
    assert "set-cookie" not in answer.headers


def test_production_does_not_speak_the_pseudo_locale(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(language, "settings", lambda: type("S", (), {"environment": "production"}))
    assert language._spoken("pseudo") is None
    assert language._spoken("en") == "en"


def test_the_page_offers_the_other_language_in_its_own_words(client: httpx.Client) -> None:
    assert '<a class="menu-item" href="?lang=en" lang="en" hreflang="en">English</a>' in (
        client.get("/").text
    )
    english = client.get("/", params={"lang": "en"}).text
    client.cookies.clear()
    assert 'hreflang="es">Español</a>' in english
    assert 'hreflang="en"' not in english
    assert "Wool and cashmere" in english
    assert "Double-breasted" in english


def test_the_console_speaks_both_and_its_refusals_too(client: httpx.Client) -> None:
    asked = {"username": "owner", "password": OWNER_PASSWORD + "x"}
    headers = {"Accept-Language": "en", "Sec-Fetch-Site": "same-origin"}
    answer = client.post("/console/sign-in", data=asked, headers=headers)
    assert '<html lang="en">' in answer.text
    assert "Wrong user name or password." in answer.text
    lost = client.get("/console/catalogue/fabrics/999", headers={"Accept-Language": "en"})
    assert lost.status_code == 303  # sign in first


def test_problem_documents_speak_the_browsers_language(client: httpx.Client) -> None:
    body = {"color_id": "no-hay", "cuts": ["recto"]}
    english = client.post("/api/v1/generations", json=body, headers={"Accept-Language": "en"})
    assert english.json()["detail"] == "There is no cloth “no-hay” in the catalogue."
    assert english.json()["errors"][0]["detail"] == english.json()["detail"]
    spanish = client.post("/api/v1/generations", json=body)
    assert spanish.json()["detail"] == "La tela «no-hay» no existe en el catálogo."


def test_the_older_paths_keep_their_words(client: httpx.Client) -> None:
    headers = {"Accept-Language": "en"}
    assert client.get("/jobs/no", headers=headers).json()["error"]["message"] == (
        "No existe ese pedido."
    )


# --- nothing that the floors below say is left out ------------------------------------------------


def _errors() -> dict[str, type[errors.StylistError]]:
    found: dict[str, type[errors.StylistError]] = {}
    waiting = [errors.StylistError]
    while waiting:
        kind = waiting.pop()
        found[kind.__name__] = kind
        waiting += kind.__subclasses__()
    return found


def _sentence(node: ast.expr, constants: dict[str, ast.expr]) -> str | None:
    """What a string, an f-string or the name of one says; {} for each value."""
    if isinstance(node, ast.Name) and node.id in constants:
        return _sentence(constants[node.id], {})
    if isinstance(node, ast.JoinedStr):
        return "".join(str(p.value) if isinstance(p, ast.Constant) else "{}" for p in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _constants(tree: ast.Module) -> dict[str, ast.expr]:
    return {
        target.id: node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def test_no_template_reads_a_sentence_by_the_name_of_a_method() -> None:
    """`t.list.clear` would be the dict's own `clear`."""
    methods = "|".join(name for name in dir(dict) if not name.startswith("_"))
    read = re.compile(rf"\bt(?:\.\w+)*\.(?:{methods})\b(?!\()")
    found = [
        f"{path.name}: {words}"
        for path in (PAGES / "templates").rglob("*.html")
        for words in read.findall(path.read_text(encoding="utf-8"))
    ]
    assert found == []


def _said_by(path: Path) -> Iterator[str]:
    """Every Spanish sentence that this file raises."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    constants = _constants(tree)
    kinds = {*_errors(), "HTTPException", "UploadRefused", "SwatchTooSmall"}
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
            continue
        if node.func.id in kinds:
            for argument in node.args[:2]:
                sentence = _sentence(argument, constants)
                if sentence and SPANISH_ERRORS.search(sentence):
                    yield sentence


def test_whatever_the_api_and_the_rows_refuse_is_said_in_english_too() -> None:
    files = [*ROOT.glob("api/**/*.py"), *ROOT.glob("models/*.py")]
    said = {sentence: path.name for path in files for sentence in _said_by(path)}
    assert len(said) > 40
    assert "La tela «{}» no existe en el catálogo." in said
    missing = {text: file for text, file in said.items() if told.english(text) is None}
    assert missing == {}, "add them to api/pages/told_en.toml"


def test_whatever_a_cloth_is_refused_for_is_said_in_english_too() -> None:
    files = [ROOT / "worker" / name for name in ("cloth.py", "cloth_area.py", "swatch_photo.py")]
    files += [ROOT / "worker" / "swatch_file.py", ROOT / "worker" / "loop.py"]
    said = {sentence for path in files for sentence in _said_by(path)}
    assert len(said) > 8
    assert {text for text in said if told.english(text) is None} == set()


def test_every_code_has_an_english_sentence() -> None:
    codes = {kind.code for kind in _errors().values()}
    assert {"unknown-color", "swatch-unreadable", "engine-failed"} <= codes
    assert codes - {"weights-missing"} <= told.codes.keys()  # a worker's, which refuses to start


def test_a_sentence_with_values_keeps_them() -> None:
    assert told.english("La tela «Gris» no es de la familia «Lino».") == (
        "The cloth “Gris” is not of the bunch “Lino”."
    )
    assert told.english("Datos no válidos: a: b; c") == "Not valid: a: b; c"


# --- the mechanism is the only way to say something -----------------------------------------------


def test_no_python_of_the_pages_says_spanish_of_its_own() -> None:
    for path in PAGES.glob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
        prose = {
            ast.get_docstring(n, clean=False) for n in ast.walk(tree) if isinstance(n, documented)
        }
        prose |= set(_said_by(path))  # translated as they are told
        said = {n.value for n in ast.walk(tree) if isinstance(n, ast.Constant)} - prose
        assert not [s for s in said if isinstance(s, str) and re.search(r"[áéíóúñ¿¡]", s)], path


def test_no_template_says_anything_of_its_own() -> None:
    classes = re.compile(r"{% block kind %}[\w -]*{% endblock %}")
    for path in (PAGES / "templates").rglob("*.html"):
        source = classes.sub("", path.read_text(encoding="utf-8"))
        bare = re.sub(r"{#.*?#}|{%.*?%}|{{.*?}}", "", source, flags=re.DOTALL)
        texts = re.sub(r"<[^>]*>", " ", bare)
        spoken = re.findall(r'\b(?:aria-label|alt|title|placeholder)="([^"]*)"', bare)
        words = {word for text in (texts, *spoken) for word in WORD.findall(text)}
        assert words <= {"mm", "fingerprint", "ΔE"}, path
