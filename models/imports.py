"""Import of fabrics: what a list of rows would add and change, told before anything is written.

A plan is made from the rows and the catalogue as it is. Its digest names it: what is carried out is
what was shown, or nothing. Nothing is ever deleted by an import.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from models.catalogue import Fabric, FabricFamily
from models.errors import Conflict

NEEDED = ("name", "family_id", "hex_value")  # of a fabric that is new
OUTDATED = "El catálogo cambió mientras tanto; revisa la lista otra vez."
FLUSH_EVERY = 500  # no statement, and no pause between two, grows with the list
Verdict = Literal["add", "change", "same", "refuse"]


class PlanOutdated(Conflict):
    """The catalogue is no longer as it was when the plan was shown."""

    code = "plan-outdated"


@dataclass(frozen=True)
class Line:
    """One row of a list: the columns that it gives, or why it cannot be read."""

    number: int  # in the file, as a spreadsheet counts
    color_id: str
    fields: dict[str, Any] = field(default_factory=dict)
    refusal: str | None = None  # names a sentence
    facts: dict[str, Any] = field(default_factory=dict)  # what that sentence needs


@dataclass(frozen=True)
class Step:
    """What one row comes to."""

    line: Line
    verdict: Verdict
    name: str = ""
    changes: dict[str, tuple[Any, Any]] = field(default_factory=dict)  # column: (before, after)
    refusal: str | None = None
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    steps: list[Step]

    def count(self, verdict: Verdict) -> int:
        return sum(step.verdict == verdict for step in self.steps)

    @property
    def digest(self) -> str:
        told = [
            (step.line.number, step.verdict, step.changes, step.line.fields) for step in self.steps
        ]
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def plan(session: Session, lines: Sequence[Line]) -> Plan:
    return _planned(lines, _families(session), _fabrics(session, lines))


def _planned(lines: Sequence[Line], families: dict[str, int], known: dict[str, Fabric]) -> Plan:
    names = {id: family_id for family_id, id in families.items()}
    first: dict[str, int] = {}
    steps = []
    for line in lines:
        earlier = first.setdefault(line.color_id, line.number)
        if line.refusal is not None:
            steps.append(Step(line, "refuse", refusal=line.refusal, facts=line.facts))
        elif earlier != line.number:
            steps.append(Step(line, "refuse", refusal="repeated", facts={"line": earlier}))
        elif (line.fields.get("family_id") or "") not in {"", *families}:
            family = {"family": line.fields["family_id"]}
            steps.append(Step(line, "refuse", refusal="no_family", facts=family))
        else:
            row = known.get(line.color_id)
            steps.append(_new(line) if row is None else _changed(line, row, names))
    return Plan(steps)


def apply(session: Session, lines: Sequence[Line], digest: str) -> Plan:
    """Carry out what the plan of this digest says, and leave out what it refuses.

    Raises PlanOutdated, and then nothing is written."""
    families, known = _families(session), _fabrics(session, lines, to_write=True)
    found = _planned(lines, families, known)
    if found.digest != digest:
        raise PlanOutdated(OUTDATED)
    for place, step in enumerate(found.steps):
        values = {name: after for name, (_, after) in step.changes.items()}
        if "family_id" in values:
            values["fabric_family_id"] = families[values.pop("family_id")]
        if step.verdict == "add":
            session.add(Fabric(color_id=step.line.color_id, **values))
        elif step.verdict == "change":
            for name, value in values.items():
                setattr(known[step.line.color_id], name, value)
        if place % FLUSH_EVERY == 0:
            session.flush()
    session.flush()
    return found


def _new(line: Line) -> Step:
    missing = [name for name in NEEDED if not line.fields.get(name)]
    if missing:
        return Step(line, "refuse", refusal="incomplete", facts={"columns": missing})
    given = {name: value for name, value in line.fields.items() if value not in (None, [])}
    changes = {name: (None, value) for name, value in given.items()}
    return Step(line, "add", str(line.fields["name"]), changes)


def _changed(line: Line, row: Fabric, family_ids: dict[int, str]) -> Step:
    """Where a cell of what must be there is empty, the fabric keeps what it has."""
    now = {name: getattr(row, name) for name in line.fields if name != "family_id"}
    now |= {"family_id": family_ids[row.fabric_family_id]}
    changes = {
        name: (now[name], value)
        for name, value in line.fields.items()
        if value != now[name] and not (value is None and name in (*NEEDED, "status"))
    }
    return Step(line, "change" if changes else "same", row.name, changes)


def _families(session: Session) -> dict[str, int]:
    return dict(session.execute(select(FabricFamily.family_id, FabricFamily.id)).all())


def _fabrics(session: Session, lines: Sequence[Line], to_write: bool = False) -> dict[str, Fabric]:
    """What the lines speak of, by color_id; `to_write` holds it until the transaction ends."""
    color_ids = [line.color_id for line in lines]
    query = select(Fabric).where(Fabric.color_id.in_(color_ids)).order_by(Fabric.id)
    rows = session.scalars(query.with_for_update() if to_write else query)
    return {row.color_id: row for row in rows}
