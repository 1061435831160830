"""The pseudo-locale: Spanish with every letter dressed and a third longer, so that a sentence that
escaped translation stands out, and one that does not fit is found before English finds it."""

import re
from typing import Any

LONGER = 0.35
DRESSED = str.maketrans(
    "abcdeghijklnorstuyzABCDEGHIJKLNORSTUYZáéíóúñÁÉÍÓÚÑ",
    "àƀçðèĝĥîĵķļñöŕšţûýžÀƁÇÐÈĜĤÎĴĶĻÑÖŔŠŢÛÝŽàèîöûñÀÈÎÖÛÑ",
)
PLACEHOLDER = re.compile(r"(\{\w*\})")
LANG = "es-x-pseudo"


def made_of(branch: dict[str, Any]) -> dict[str, Any]:
    """The same tree with every sentence dressed; `lang` says what it is."""
    return {key: LANG if key == "lang" else _dressed(value) for key, value in branch.items()}


def _dressed(value: Any) -> Any:
    if isinstance(value, dict):
        return made_of(value)
    return [dress(one) for one in value] if isinstance(value, list) else dress(value)


def dress(sentence: str) -> str:
    """`Ver el traje` → `[Vèŕ èļ ţŕàĵè ···· ]`; what stands in braces stays as it is."""
    parts = PLACEHOLDER.split(sentence)
    dressed = [part if PLACEHOLDER.fullmatch(part) else part.translate(DRESSED) for part in parts]
    words = -(-round(len(sentence) * LONGER) // 5)
    return f"[{''.join(dressed)}{' ····' * words}]"
