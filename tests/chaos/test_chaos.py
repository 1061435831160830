"""A short run of the harness, and what the harness itself promises."""

import re
import subprocess
import sys
from collections import Counter

import pytest

from models.settings import ROOT
from tests.chaos.proxy import Messages, application_name
from tests.chaos.report import result_line, trial_lines
from tests.chaos.trial import Verdict

SEED = 20


def test_the_queue_holds_its_promises_under_fire() -> None:
    """All faults together, twice: jobs of milliseconds, and jobs about as long as the lease."""
    amount = ["--jobs", "200", "--long-jobs", "40", "--workers", "6"]
    command = [sys.executable, "-m", "tests.chaos", "--seed", str(SEED), *amount]
    done = subprocess.run(
        [*command, "--workload", "short", "long"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("green") == 2
    for fault in ("SIGKILL", "restarts", "zombies", "COMMITs cut", "storage faults"):
        assert re.search(f"{fault} [1-9]", done.stdout), f"no {fault}:\n{done.stdout}"


def test_the_result_says_how_often_each_promise_was_broken() -> None:
    verdict = Verdict("short", 3, jobs=10, commits=50, attempted=5)
    verdict.faults = Counter({"SIGKILL": 2, "SIGKILL put": 1, "COMMIT cut: after": 4})
    verdict.violations = ["invariant 1: lost: order 7", "invariant 4: stale write accepted: (1, 2)"]
    line = result_line([verdict, Verdict("claims", 4)])
    assert line.startswith("seeds 3 to 4: 10 jobs, SIGKILL 3, ")
    assert "COMMITs cut 4 of 50" in line
    assert "lost 1, completed twice 0, stale writes accepted 1" in line
    assert "  RED" in trial_lines(verdict)


def message(kind: bytes, content: bytes) -> bytes:
    return kind + (len(content) + 4).to_bytes(4, "big") + content


@pytest.mark.parametrize("chunk", [1, 3, 1000])
def test_the_proxy_finds_messages_however_they_are_cut(chunk: int) -> None:
    startup = message(b"", b"\0\3\0\0user\0me\0application_name\0w17\0\0")
    sent = [startup, message(b"Q", b"BEGIN\0"), message(b"S", b""), message(b"Q", b"COMMIT\0")]
    stream = b"".join(sent)
    messages = Messages(has_startup=True)
    found = [
        whole
        for at in range(0, len(stream), chunk)
        for whole in messages.feed(stream[at : at + chunk])
    ]
    assert found == sent
    assert application_name(startup) == "w17"
