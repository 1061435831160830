"""A short run of the harness, and what the harness itself promises."""

import subprocess
import sys

import pytest

from models.settings import ROOT
from tests.chaos.proxy import Messages, application_name

SEED = 20


def test_the_queue_holds_its_promises_under_fire() -> None:
    """All faults together, twice: jobs of milliseconds, and jobs about as long as the lease."""
    amount = ["--jobs", "300", "--long-jobs", "60", "--workers", "6"]
    command = [sys.executable, "-m", "tests.chaos", "--seed", str(SEED), *amount]
    done = subprocess.run(
        [*command, "--workload", "short", "long"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("green") == 2
    for fault in ("SIGKILL", "SIGSTOP", "SIGTERM", "immediate restart", "COMMIT cut", "put lost"):
        assert fault in done.stdout, f"no {fault} happened:\n{done.stdout}"


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
