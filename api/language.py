"""The language of a request, and the sentences of the pages in it.

`?lang=` decides and is remembered in a cookie; else that cookie, Accept-Language, or Spanish.
Sentences live beside the pages, one TOML file a room and language; what the floors below say in
Spanish is translated here. A pseudo-locale, made of the Spanish, shows what was forgotten.
"""

import re
import tomllib
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from starlette.datastructures import Headers, MutableHeaders, QueryParams
from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import pseudo
from models.settings import settings

PAGES = Path(__file__).parent / "pages"
SPANISH, ENGLISH, PSEUDO = "es", "en", "pseudo"
NAMES = {SPANISH: "Español", ENGLISH: "English"}  # each in itself, for who cannot read the other
PARAMETER = "lang"
KEPT_SECONDS = 365 * 86400
CHOSEN = "estilista.language"  # where a scope remembers it

_scope: ContextVar[Scope | None] = ContextVar("scope", default=None)


class Speaking:
    """ASGI middleware: `current()` is the language of the request that is being answered. What it
    costs a request that says nothing to people is one reference."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        held = _scope.set(scope)
        try:
            asked = b"lang=" in scope["query_string"] and _named(scope)
            await self.app(scope, receive, _remembering(send, asked) if asked else send)
        finally:
            _scope.reset(held)


def current() -> str:
    """The language to answer in: `es`, `en`, or `pseudo`, which production does not speak."""
    scope = _scope.get()
    if scope is None:
        return SPANISH
    if CHOSEN not in scope:
        scope[CHOSEN] = _named(scope) or _remembered(scope) or _preferred(scope)
    return str(scope[CHOSEN])


def others() -> list[tuple[str, str]]:
    """(what `?lang=` is set to, its own name) of every language but the current one."""
    return [(name, words) for name, words in NAMES.items() if name != current()]


class Sentences:
    """A room's sentences in the current language: `sentences["page"]["title"]`."""

    def __init__(self, room: str) -> None:
        files = {name: PAGES / f"{room}_{name}.toml" for name in NAMES}
        self.of = {name: _read(path) for name, path in files.items()}
        self.of[PSEUDO] = pseudo.made_of(self.of[SPANISH])

    def __getitem__(self, key: str) -> Any:
        return self.of[current()][key]


def _read(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8"))


class Told:
    """What the floors below say in Spanish, in the current language."""

    def __init__(self, path: Path) -> None:
        told = _read(path)
        self.sentences: dict[str, str] = told["sentence"]
        self.codes: dict[str, str] = told["code"]
        self.patterns = [
            (re.compile(re.escape(spanish).replace(r"\{\}", "(.+)"), re.DOTALL), english)
            for spanish, english in self.sentences.items()
            if "{}" in spanish
        ]

    def __call__(self, sentence: str, code: str | None = None) -> str:
        """`code` decides where the sentence is not known; without either it stays Spanish."""
        if current() == SPANISH:
            return sentence
        if current() == PSEUDO:
            return pseudo.dress(sentence)
        return self.english(sentence) or self.codes.get(code or "") or sentence

    def english(self, sentence: str) -> str | None:
        if sentence in self.sentences:
            return self.sentences[sentence]
        for pattern, english in self.patterns:
            if found := pattern.fullmatch(sentence):
                return str(english.format(*found.groups()))
        return None


told = Told(PAGES / "told_en.toml")


# --- which one ------------------------------------------------------------------------------------


def _spoken(name: str | None) -> str | None:
    if name == PSEUDO and settings().environment != "production":
        return PSEUDO
    return name if name in NAMES else None


def _named(scope: Scope) -> str | None:
    return _spoken(QueryParams(scope["query_string"]).get(PARAMETER))


def _remembered(scope: Scope) -> str | None:
    return _spoken(cookie_parser(Headers(scope=scope).get("cookie", "")).get(PARAMETER))


def _preferred(scope: Scope) -> str:
    """The first of ours in the browser's own order of preference."""
    wanted: list[tuple[float, str]] = []
    for part in Headers(scope=scope).get("accept-language", "").split(","):
        tag, _, weight = part.partition(";")
        wanted.append((_quality(weight), tag.strip().lower().partition("-")[0]))
    best = sorted(wanted, key=lambda entry: -entry[0])  # stable: equals stay in their order
    return next((tag for quality, tag in best if quality > 0 and tag in NAMES), SPANISH)


def _quality(weight: str) -> float:
    found = re.fullmatch(r"\s*q=([01](?:\.\d{1,3})?)\s*", weight)
    return float(found[1]) if found else 1.0


def _remembering(send: Send, name: str) -> Send:
    secure = "; Secure" if settings().environment == "production" else ""
    cookie = f"{PARAMETER}={name}; Path=/; Max-Age={KEPT_SECONDS}; SameSite=Lax{secure}"

    async def remembered(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).append("Set-Cookie", cookie)
        await send(message)

    return remembered
