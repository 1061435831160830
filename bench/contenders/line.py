"""The starting line: what each contender's program does before it is measured."""

import json
import sys
import time
from collections.abc import Callable

PAYLOAD_BYTES = 600  # about a letter of ours


def payload(number: int) -> dict[str, str]:
    """A job's arguments, about PAYLOAD_BYTES of JSON."""
    head = {"number": str(number), "text": ""}
    return head | {"text": "x" * (PAYLOAD_BYTES - len(json.dumps(head)))}


def wait_for_start() -> None:
    """Everything is connected and warm; the clock starts for all at once."""
    print("ready", flush=True)
    sys.stdin.readline()


def say_finished() -> None:
    """CLOCK_MONOTONIC is the same in all processes of a machine."""
    print(time.monotonic(), flush=True)


def run(commands: dict[str, Callable[..., None]]) -> None:
    """Dispatch `program COMMAND URL [NUMBER...]`."""
    command, url, *numbers = sys.argv[1:]
    commands[command](url, *(int(number) for number in numbers))
