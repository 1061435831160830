"""The mutation check: each protection is removed from a copy of the code, one at a time, and the
part of the harness that is there for it must go red, for the right reason.

Each mutation says how often its text must be found, so that no refactoring makes it a no-op.
"""

import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from models.settings import ROOT

COPIED = ("models", "worker", "tests/__init__.py", "tests/chaos")
LINKED = ("alembic", "alembic.ini", "assets")
SECONDS_AT_MOST = 240
JOBS = 120  # of a targeted workload: enough to be caught in every run


@dataclass(frozen=True)
class Edit:
    """One textual change, by regular expression; `found` is how often, at least."""

    file: str
    pattern: str
    replacement: str
    found: int = 1


@dataclass(frozen=True)
class Mutation:
    """A protection removed, where that must show, and as what."""

    name: str
    protection: str  # the five of the brief; a protection may have more than one mutation
    edits: Sequence[Edit]
    workload: str
    shows_as: str  # regular expression on the violations


QUEUE, LOOP, STORAGE = "models/queue.py", "worker/loop.py", "models/storage.py"
SETTLES = r"WHERE claim = :claim(?!`|\n\"\"\"|\"\))"  # not where it is only read
WORKERS_CLOCK = """from models.letter import Letter
from sqlalchemy import bindparam
import time
_plain = text
def text(sql):
    made = _plain(sql)
    if ":worker_now" not in sql:
        return made
    return made.bindparams(bindparam("worker_now", callable_=lambda: time.time()))
"""


def _settled_by(condition: str) -> tuple[Edit, ...]:
    return (
        Edit(QUEUE, SETTLES, f"WHERE {condition}", found=3),
        Edit(QUEUE, r"AND jobs\.claim = :claim", "", found=3),
        Edit(
            QUEUE, r'\{"claim": held\.claim', '{"job_id": held.job_id, "claim": held.claim', found=2
        ),
    )


MUTATIONS = (
    Mutation(
        "settle by id",
        "the fence",
        _settled_by("id = :job_id"),
        "zombies",
        "invariant 4: (stale write|result of another claim)",
    ),
    Mutation(
        "settle by id and status",
        "the fence",
        _settled_by("id = :job_id AND status = 'processing'"),
        "zombies",
        "invariant 4: (stale write|result of another claim)",
    ),
    Mutation(
        "claims wait for one another",
        "one claim, one job",
        (Edit(QUEUE, r"(CLAIM = text[\s\S]*?FOR UPDATE) SKIP LOCKED", r"\1"),),
        "claims",
        "holds_up_nobody|invariant 11: a claim waited",
    ),
    Mutation(
        "IN instead of =",
        "one claim, one job",
        (Edit(QUEUE, r"(CLAIM = text[\s\S]*?WHERE id) = \(", r"\1 IN ("),),
        "claims",
        "under_any_plan|invariant 3: one claim took",
    ),
    Mutation(
        "the worker's clock",
        "the database's clock",
        (
            Edit(QUEUE, r"clock_timestamp\(\)", "to_timestamp(:worker_now)", found=10),
            Edit(QUEUE, r"from models\.letter import Letter\n", WORKERS_CLOCK),
        ),
        "clocks",
        "invariant 3: (a lease ends too late|lease of another length)",
    ),
    Mutation(
        "a lost claim is not looked for",
        "the second look",
        (Edit(LOOP, r"self\._look_for\(self\._unanswered\)", "None"),),
        "commits",
        "invariant 5: left to lapse by a healthy worker",
    ),
    Mutation(
        "a lost settlement is not looked for",
        "the second look",
        (Edit(LOOP, r"if unsure:", "if False:"),),
        "commits",
        "invariant 2: won, yet called lost",
    ),
    Mutation(
        "what was stored is not read back",
        "verify before publish",
        (Edit(STORAGE, r"if not self\._holds\(key, content\):", "if False:"),),
        "puts",
        "invariant 7: sha mismatch",
    ),
)


def copy_of_the_code(folder: Path) -> None:
    """What a run needs, in `folder`: copies of what may be mutated, links to the rest."""
    for name in COPIED:
        source, target = ROOT / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    for name in LINKED:
        (folder / name).symlink_to(ROOT / name)


def apply(mutation: Mutation, folder: Path) -> None:
    """Raises ValueError when a text is not there (often enough) to be changed."""
    for edit in mutation.edits:
        path = folder / edit.file
        text, found = re.subn(edit.pattern, edit.replacement, path.read_text(encoding="utf-8"))
        if found < edit.found:
            raise ValueError(f"{mutation.name}: {edit.pattern} found {found} times in {edit.file}")
        path.write_text(text, encoding="utf-8")


def run(
    folder: Path, port: int, seed: int, workloads: Sequence[str]
) -> subprocess.CompletedProcess[str]:
    """The harness on the code in `folder`, on the prepared server at `port`."""
    amount = ["--targeted-jobs", str(JOBS), "--seed", str(seed), "--port", str(port)]
    command = [sys.executable, "-m", "tests.chaos", *amount, "--workload", *workloads]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=SECONDS_AT_MOST, check=False
    )
