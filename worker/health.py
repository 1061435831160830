"""`python -m worker.health`: 0 when a worker of this machine was seen lately or holds a job.

For a container's health check: a worker opens no port, so it is asked for in the registry.
"""

import socket
import sys

from models import workers
from models.database import transaction
from models.errors import DatabaseUnavailable


def main() -> int:
    """The exit code; says what it found."""
    host = f"{socket.gethostname()}-"
    try:
        with transaction() as session:
            ours = [row for row in workers.listed(session) if row.name.startswith(host)]
    except DatabaseUnavailable as error:
        print(f"the registry cannot be read: {error}")
        return 1
    well = [row.name for row in ours if row.online or row.job_id is not None]
    print(*well or ["no worker of this machine was seen lately"], sep="\n")
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
