"""Prints a PostgreSQL URL as the variables of libpq: eval "$(python3 postgres_environment.py)".

pg_dump and psql take a URL as an argument only, where every user of the machine can read the
password. Reads DATABASE_DIRECT_URL (a pooler cannot dump), or else DATABASE_URL.
"""

import os
import shlex
import sys
from urllib.parse import parse_qsl, unquote, urlsplit

VARIABLES = {
    "host": "PGHOST",
    "port": "PGPORT",
    "user": "PGUSER",
    "password": "PGPASSWORD",
    "dbname": "PGDATABASE",
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "channel_binding": "PGCHANNELBINDING",
    "options": "PGOPTIONS",
    "connect_timeout": "PGCONNECT_TIMEOUT",
}


def variables(url: str) -> dict[str, str]:
    """libpq's variables for a postgresql:// URL. Raises ValueError for what it cannot hold."""
    parts = urlsplit(url)
    if not parts.scheme.startswith(("postgresql", "postgres")):
        raise ValueError("not a postgresql:// URL")
    found = {
        "host": unquote(parts.hostname or ""),
        "port": str(parts.port or ""),
        "user": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "dbname": unquote(parts.path.removeprefix("/")),
    }
    found |= dict(parse_qsl(parts.query))
    if unknown := found.keys() - VARIABLES.keys():
        raise ValueError(f"libpq has no variable for {', '.join(sorted(unknown))}")
    return {VARIABLES[name]: value for name, value in found.items() if value}


def main() -> int:
    """The exit code; never shows the URL."""
    url = os.environ.get("DATABASE_DIRECT_URL") or os.environ.get("DATABASE_URL")
    if not url:
        print("DATABASE_URL is not set", file=sys.stderr)
        return 2
    try:
        found = variables(url)
    except ValueError as error:
        print(f"DATABASE_URL: {error}", file=sys.stderr)
        return 2
    for name, value in found.items():
        print(f"export {name}={shlex.quote(value)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
