"""`make bench`: all measurements one after the other, with the machine that they were taken on."""

import os
import platform
from datetime import UTC, datetime

from bench import drape, order, startup


def main() -> None:
    print(f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, {platform.machine()}, ", end="")
    print(f"Python {platform.python_version()}\n")
    for measure in (drape, order, startup):
        measure.main()
        print()


if __name__ == "__main__":
    main()
