"""Backups of the ledger: a consistent copy in one file while everything runs, and the way back.

SQLite is copied by its online backup; PostgreSQL by its own pg_dump (custom format) and pg_restore. A restore bumps
nothing and needs nothing bumped: what the backup does not know comes back from the dispensers (`restored`).
"""

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import inspect, make_url

from services.ledger import postgresql_programs, revisions
from services.ledger.audit import Audit, audit
from services.ledger.database import Database, DatabaseUnavailable, LedgerError

# Pages of a step: often enough to show that the copy goes on.
_PAGES = 1000

# What is done, of how much: pages for SQLite, bytes of an unknown total (0) for PostgreSQL.
Progress = Callable[[int, int], None]


class BadBackup(LedgerError):
    """The file is no backup that this ledger can take."""


class WouldOverwrite(LedgerError):
    """Something is there already that nobody said to replace."""


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup that was written or read. `revision` is of its tables."""

    file: str
    size_bytes: int
    revision: str


def backup(
    url: str, file: Path, *, overwrite: bool = False, on_progress: Progress = lambda _done, _all: None
) -> Backup:
    """Copy the ledger as it is at one moment into `file`, which is whole or not there.

    Raises `WouldOverwrite`, `DatabaseUnavailable`; `LedgerError` where nothing is to be copied or the disk is full.
    """
    if file.exists() and not overwrite:
        raise WouldOverwrite(f"{file} is there already: choose another name, or replace it with --yes")
    part = file.with_name(file.name + ".part")
    try:
        with _disk(file):
            part.unlink(missing_ok=True)
            # It holds password hashes: for its owner only.
            part.touch(mode=0o600)
            if _is_sqlite(url):
                with _sqlite(_path(url)) as source, _sqlite(part, new=True) as target:
                    _copy(source, target, on_progress)
                    target.execute("PRAGMA journal_mode=DELETE")
            else:
                postgresql_programs.dump(url, part, on_progress)
            revision = _revision(url, part)
            with part.open("rb") as written:
                os.fsync(written.fileno())
            part.replace(file)
    finally:
        part.unlink(missing_ok=True)
    return Backup(str(file), file.stat().st_size, revision)


def restore(
    url: str, file: Path, *, overwrite: bool = False, on_progress: Progress = lambda _done, _all: None
) -> tuple[Backup, Audit]:
    """Put the ledger back to what `file` holds, bring its tables to this version, and audit it.

    The services are to be stopped. Raises `BadBackup` (the ledger is as it was), `WouldOverwrite` when one is there.
    """
    if not file.exists():
        raise BadBackup(f"there is no file {file}: check the name")
    revision = _revision(url, file)
    if _has_tables(url) and not overwrite:
        raise WouldOverwrite("a ledger is there already: `pitada backup` it first, then replace it with --yes")
    if _is_sqlite(url):
        path = _path(url)
        with _disk(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with _sqlite(file) as source, _sqlite(path, new=True) as target:
                _copy(source, target, on_progress)
    else:
        postgresql_programs.load(url, file, on_progress)
    database = Database(url)
    try:
        database.migrate()
        with database.read() as tx:
            return Backup(str(file), file.stat().st_size, revision), audit(tx)
    finally:
        database.close()


def _revision(url: str, file: Path) -> str:
    """The revision of the tables in a backup. Raises `BadBackup` unless this version knows it."""
    if _is_sqlite(url):
        try:
            with contextlib.closing(sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True)) as content:
                found = content.execute("SELECT version_num FROM alembic_version").fetchone()
                whole = content.execute("PRAGMA quick_check").fetchone()[0]
        except sqlite3.DatabaseError as error:
            raise BadBackup(f"{file} is no backup of an SQLite ledger: {error}. Choose another file.") from error
        if whole != "ok":
            raise BadBackup(f"{file} is damaged: {whole}. Choose another file.")
        revision = found[0] if found else None
    else:
        try:
            revision = postgresql_programs.revision_in(url, file)
        except postgresql_programs.ProgramFailed as error:
            raise BadBackup(f"{file} is no backup of a PostgreSQL ledger: {error}. Choose another file.") from error
    if revision is None:
        raise BadBackup(f"{file} holds no ledger: it says no revision of its tables. Choose another file.")
    if revision not in revisions.KNOWN:
        raise BadBackup(f"{file} is of a newer version of Pitada (tables {revision}): update Pitada, then restore it")
    return str(revision)


def _has_tables(url: str) -> bool:
    if _is_sqlite(url) and not _path(url).exists():
        return False
    database = Database(url)
    try:
        with database.read() as tx:
            return "alembic_version" in inspect(tx).get_table_names()
    finally:
        database.close()


def _is_sqlite(url: str) -> bool:
    # The URL is checked where every ledger is opened.
    Database(url).close()
    return make_url(url).get_backend_name() == "sqlite"


def _path(url: str) -> Path:
    return Path(str(make_url(url).database))


@contextlib.contextmanager
def _sqlite(path: Path, *, new: bool = False) -> Iterator[sqlite3.Connection]:
    if not new and not path.exists():
        raise LedgerError(f"there is no ledger at {path}: nothing to copy. Check the data directory.")
    with contextlib.closing(sqlite3.connect(path, timeout=10)) as connection:
        yield connection


def _copy(source: sqlite3.Connection, target: sqlite3.Connection, on_progress: Progress) -> None:
    # One snapshot for all of it: without it every write of another process would start the copy again.
    source.execute("BEGIN")
    source.execute("SELECT * FROM alembic_version")
    source.backup(
        target,
        pages=_PAGES,
        progress=lambda _status, remaining, total: on_progress(total - remaining, total),
    )


@contextlib.contextmanager
def _disk(file: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        raise DatabaseUnavailable(f"{file} cannot be written: {error}. Stop what uses it, or free the disk.") from error
    except OSError as error:
        raise LedgerError(f"{file} cannot be written: {error.strerror}. Choose another place.") from error
