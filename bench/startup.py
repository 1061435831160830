"""A newcomer's first minutes: fresh clone → `make run` → /readyz with a cold pip cache, and a
second start on the same data: python -m bench.startup."""

import subprocess
import tempfile
from pathlib import Path

from bench.stack import ROOT, running

FIRST_BUDGET_SECONDS, SECOND_BUDGET_SECONDS = 120, 8


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="estilista-clone-") as folder:
        checkout, data_dir = Path(folder) / "clone", Path(folder) / "var"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(checkout)], check=True)
        cold = {"PIP_CACHE_DIR": str(Path(folder) / "pip-cache")}
        Path(folder).chmod(0o755)  # the embedded database may run as a user of its own
        with running(checkout, data_dir, **cold) as (_, first):
            pass
        with running(checkout, data_dir, **cold) as (_, second):
            pass
    print("| fresh clone → make run → /readyz 200 | s | bar |")
    print("|---|---|---|")
    print(f"| first start, cold pip cache | {first:.1f} | ≤ {FIRST_BUDGET_SECONDS} |")
    print(f"| second start | {second:.1f} | ≤ {SECOND_BUDGET_SECONDS} |")


if __name__ == "__main__":
    main()
