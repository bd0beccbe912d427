"""PostgreSQL's own pg_dump, pg_restore and psql, found on this machine and run against the ledger's server."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import make_url

from services.ledger.database import Database, LedgerError
from services.ledger.tables import METADATA

# Debian and its children keep the programs here; what is on the PATH is a wrapper, or of one version only.
DEBIAN_PROGRAMS = "/usr/lib/postgresql/*/bin"

_NEEDED = ("pg_dump", "pg_restore", "psql")
_CHUNK_BYTES = 1 << 20

Progress = Callable[[int, int], None]


class NoPrograms(LedgerError):
    """PostgreSQL's programs are not installed."""


class ProgramFailed(LedgerError):
    """One of PostgreSQL's programs failed. Nothing was changed; the text is its own."""


def dump(url: str, file: Path, on_progress: Progress) -> None:
    """Write the ledger as it is at one moment into `file`, in the custom format."""
    with (
        file.open("wb") as target,
        _start(url, "pg_dump", "--format=custom", "--no-owner", "--no-privileges", out=subprocess.PIPE) as dumping,
    ):
        assert dumping.stdout is not None
        _pipe(dumping.stdout.read, target.write, on_progress)
        _end("pg_dump", dumping)


def load(url: str, file: Path, on_progress: Progress) -> None:
    """Replace the ledger by what `file` holds, in one transaction: all of it, or nothing."""
    tables = [*METADATA.tables, "alembic_version"]
    drop = "".join(f'DROP TABLE IF EXISTS "{name}" CASCADE;\n' for name in sorted(tables))
    quiet = ("--quiet", "--no-psqlrc", "--single-transaction", "--set=ON_ERROR_STOP=1", "--output=/dev/null")
    with (
        _start(
            url, "pg_restore", "--no-owner", "--no-privileges", "--file=-", str(file), out=subprocess.PIPE
        ) as reading,
        _start(url, "psql", *quiet, out=subprocess.DEVNULL, into=subprocess.PIPE) as writing,
    ):
        assert reading.stdout is not None
        assert writing.stdin is not None
        try:
            writing.stdin.write(drop.encode())
            _pipe(reading.stdout.read, writing.stdin.write, on_progress)
            if reading.wait() != 0:
                # An error, wherever it stopped: without it psql would commit the half that came.
                writing.stdin.write(b"\n\\.\nSELECT the_backup_is_damaged;\n")
            writing.stdin.close()
        except BrokenPipeError:
            pass  # psql ended first, and says why
        _end("psql", writing)
        _end("pg_restore", reading)


def revision_in(url: str, file: Path) -> str | None:
    """The revision of the tables in that dump."""
    asked = ("--data-only", "--table=alembic_version", "--file=-", str(file))
    with _start(url, "pg_restore", *asked, out=subprocess.PIPE) as reading:
        assert reading.stdout is not None
        lines = reading.stdout.read().decode(errors="replace").splitlines()
        _end("pg_restore", reading)
    copied = [number for number, line in enumerate(lines) if line.startswith("COPY ")]
    return lines[copied[0] + 1].strip() if copied else None


def _pipe(read: Callable[[int], bytes], write: Callable[[bytes], object], on_progress: Progress) -> None:
    done = 0
    while chunk := read(_CHUNK_BYTES):
        write(chunk)
        done += len(chunk)
        on_progress(done, 0)


def _start(
    url: str, program: str, *options: str, out: int, into: int = subprocess.DEVNULL
) -> "subprocess.Popen[bytes]":
    server = make_url(url)
    place = {"PGHOST": server.host, "PGUSER": server.username, "PGPASSWORD": server.password}
    place |= {"PGPORT": str(server.port or 5432), "PGDATABASE": server.database}
    return subprocess.Popen(  # noqa: S603  # a program that was found on this machine, no shell
        [str(_find(_major(url)) / program), *options],
        stdin=into,
        stdout=out,
        stderr=subprocess.PIPE,
        env={**os.environ, **{name: value for name, value in place.items() if value is not None}},
    )


def _end(program: str, process: "subprocess.Popen[bytes]") -> None:
    assert process.stderr is not None
    said = process.stderr.read().decode(errors="replace").strip()
    if process.wait() != 0:
        raise ProgramFailed(f"{program} failed: {said[-1000:]}")


def _major(url: str) -> int:
    """The server's version: a newer pg_restore speaks of settings that an older server does not know."""
    database = Database(url)
    try:
        with database.read() as tx:
            return int(tx.exec_driver_sql("SHOW server_version_num").scalar_one()) // 10_000
    finally:
        database.close()


def _find(major: int) -> Path:
    debian = Path("/").glob(DEBIAN_PROGRAMS.lstrip("/"))
    folders = sorted(debian, key=lambda folder: _distance(folder.parent.name, major))
    on_path = shutil.which("pg_dump")
    folders += [Path(on_path).parent] if on_path else []
    for folder in folders:
        if all((folder / program).exists() for program in _NEEDED):
            return folder
    raise NoPrograms(
        f"pg_dump, pg_restore and psql are neither in {DEBIAN_PROGRAMS} nor on the PATH. Install them "
        f"(Debian, Ubuntu: apt-get install postgresql-client-{major}; macOS: brew install libpq)."
    )


def _distance(version: str, major: int) -> tuple[bool, int]:
    """The server's own version first, then the next newer ones: an older pg_dump refuses a newer server."""
    number = int(version.split(".")[0])
    return number < major, abs(number - major)
