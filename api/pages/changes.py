"""An entry of the audit log as a person reads it: fields by their names, values in words.

What only a machine reads (keys, hashes, ids) comes last. A field or a value that has no words, as
of an older release, is shown as it was written down.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from api.pages.console import STRINGS
from api.pages.spoken import shown
from models import audit

HEX = re.compile(r"#[0-9A-Fa-f]{6}")
OF_MACHINES = re.compile(r"id|.*_(?:key|sha256|version)")


@dataclass(frozen=True)
class Value:
    """One side of a change; `hex` is a colour to be seen, `at` a moment to be told."""

    text: str
    hex: str | None = None
    at: datetime | None = None


@dataclass(frozen=True)
class Change:
    field: str
    before: Value
    after: Value
    of_machines: bool


Names = Mapping[str, Callable[[Any], str]]  # field: the name behind an id in it
Words = Mapping[str, Mapping[str, str]]  # field: the words for its values


def changes(entry: Any, names: Names) -> list[Change]:
    """What an entry's `before` and `after` say, without what is the same in both; by the field's
    name, as the database keeps no order."""
    before, after = entry.before or {}, entry.after or {}
    found = _changes(before, after, names, _words(entry.subject_kind))
    return sorted(found, key=lambda change: (change.of_machines, change.field))


def _changes(
    before: Mapping[str, Any], after: Mapping[str, Any], names: Names, words: Words
) -> Iterator[Change]:
    for field in {**before, **after}:
        old, new = (_value(field, side.get(field), names, words) for side in (before, after))
        if old != new or old.text == audit.HIDDEN:
            label = STRINGS["field"].get(field, field)
            yield Change(label, old, new, OF_MACHINES.fullmatch(field) is not None)


def _value(field: str, value: Any, names: Names, words: Words) -> Value:
    if isinstance(value, str) and HEX.fullmatch(value):
        return Value(value, hex=value)
    if field.endswith("_at") and isinstance(value, str):
        return Value(value, at=datetime.fromisoformat(value))
    if field in names and value is not None:
        return Value(names[field](value))
    return Value(shown(_in_words(words.get(field, {}), value)))


def _words(kind: str) -> Words:
    """Of the fields whose values are words of ours, in an entry about such a subject."""
    looks = STRINGS["looks"]
    return {
        "fields": STRINGS["field"],
        "jobs": STRINGS["status"],
        "kind": looks["kinds"],
        "limits": looks["limits"],
        "mode": STRINGS["status"],
        "pattern": STRINGS["catalogue"]["patterns"],
        "quality": STRINGS["quality"],
        "role": STRINGS["role"],
        "scopes": STRINGS["permission"],
        "status": looks["status"] if kind == "look" else STRINGS["status"],
        "swatch_kind": STRINGS["swatch"],
    }


def _in_words(words: Mapping[str, str], value: Any) -> Any:
    if isinstance(value, list):
        return [_in_words(words, part) for part in value]
    if isinstance(value, dict):
        return {_in_words(words, name): count for name, count in value.items()}
    return words.get(value, value) if isinstance(value, str) else value
