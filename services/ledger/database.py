"""The database behind the ledger: SQLite in one file, or PostgreSQL. Synchronous, usable from any thread."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import InterfaceError, OperationalError

from services.ledger import revisions

# What the rooms that speak no SQL pass on from `Database.write` and `Database.read`.
Transaction = Connection

# How long a writer waits for the other writers of a SQLite file before it gives up.
SQLITE_BUSY_MS = 10_000

# Between two tries to switch a new SQLite file to WAL; the other one is done in a moment.
_WAL_PAUSE_S = 0.01

# Names the one lock that migrations of a PostgreSQL database queue on; any constant of the application's own does.
MIGRATION_LOCK = 0x70697461646131

# A server that neither answers nor refuses holds a thread, and so the end of the process, at most so long.
CONNECT_S = 5

# Connections kept open: ingest, dispatch, and the dashboard's worker threads.
POOL_SIZE = 10


# The beginnings of SQLite's own names for what passes by itself or by somebody's hand: a lock, a disk.
_SQLITE_AWAY = ("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_IOERR", "SQLITE_FULL", "SQLITE_CANTOPEN", "SQLITE_NOMEM")


class LedgerError(Exception):
    """The ledger cannot do what was asked. The text says why and what to do."""


class BadDatabaseUrl(LedgerError):
    """The URL names no database that the ledger can use."""


class NewerDatabase(LedgerError):
    """The tables are of a version that this one does not know. There is no way down: update, or restore a backup."""


class DatabaseUnavailable(LedgerError):
    """The database does not answer, or cannot write. Nothing of the transaction was kept; it may be tried again."""


class Database:
    """One database, by URL: `sqlite:///path/file.db` or `postgresql+psycopg://user:password@host:port/name`.

    SQLite runs in WAL with synchronous FULL: a commit is on disk, and readers never wait for the writer.
    """

    def __init__(self, url: str, password: str | None = None, engine: Engine | None = None) -> None:
        """`password` is used instead of the URL's own, so that a URL need not hold a secret.

        `engine` is used instead of one for the URL: a test's own, made ready by `prepare_sqlite`.
        """
        self.url = url
        self.engine = engine or _engine(url, password)
        # SQLite's own switch for it throws away every statement that the connection has prepared, so a connection is
        # switched once and then only read with.
        self._reading = self.engine
        if engine is None and self.dialect == "sqlite":
            self._reading = _engine(url, password)
            event.listen(self._reading, "connect", _only_read)

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""
        return self.engine.dialect.name

    def migrate(self) -> None:
        """Bring the tables to this version's shape. Safe to repeat, and safe for two processes at once.

        Only up: raises `NewerDatabase`, with nothing changed, for tables of a revision that this version does not know.
        """
        with self.write() as tx:
            if self.dialect == "postgresql":
                tx.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": MIGRATION_LOCK})
            revision = revisions.current(tx)
            if revision is not None and revision not in revisions.KNOWN:
                raise NewerDatabase(
                    f"the database was used by a newer version of Pitada (its tables are at {revision}): update "
                    "Pitada, or restore a backup that was made before"
                )
            if revision != revisions.HEAD:
                revisions.upgrade(tx)

    def ping(self) -> None:
        """Raises `DatabaseUnavailable` when the database does not answer."""
        with self.read() as tx:
            tx.exec_driver_sql("SELECT 1")

    def is_current(self) -> bool:
        """Whether the tables have this version's shape. Raises `DatabaseUnavailable`."""
        with self.read() as tx:
            return revisions.current(tx) == revisions.HEAD

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One transaction: committed at the end, rolled back when an exception leaves the block.

        On SQLite it holds the file's one write lock from the start, so it never fails half-way for another writer.
        """
        with answering(), self.engine.connect() as tx, tx.begin():
            if self.dialect == "sqlite":
                _begin_sqlite(tx, "BEGIN IMMEDIATE")
            yield tx

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A consistent snapshot: every query in the block sees the same moment. Nothing can be written in it."""
        with answering(), self._reading.connect() as tx:
            if self.dialect == "postgresql":
                tx.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            with tx.begin():
                if self.dialect == "sqlite":
                    _begin_sqlite(tx, "BEGIN")
                yield tx

    def close(self) -> None:
        """Close every connection. The object may not be used after."""
        self.engine.dispose()
        self._reading.dispose()


def has_row_locks(tx: Transaction) -> bool:
    """Whether a writer holds rows one by one. On SQLite it holds them all from its beginning, and need not ask."""
    return tx.dialect.name == "postgresql"


@contextmanager
def answering() -> Iterator[None]:
    """What the drivers raise when the server is gone, the disk is full or a lock is not to be had, as one error."""
    try:
        yield
    except (OperationalError, InterfaceError, sqlite3.OperationalError) as error:
        told = getattr(error, "orig", error)
        # To SQLite's driver a mistake in a statement is an operational error too; that one is ours.
        name = getattr(told, "sqlite_errorname", None)
        if name is not None and not name.startswith(_SQLITE_AWAY):
            raise
        raise DatabaseUnavailable(f"the database does not answer: {told}") from error


def _engine(url: str, password: str | None) -> Engine:
    try:
        parsed = make_url(url)
    except Exception:  # its text may hold the URL, and the URL a password
        raise BadDatabaseUrl(
            "the database URL cannot be read: use sqlite:///path or postgresql+psycopg://user@host:port/name"
        ) from None
    if password is not None:
        parsed = parsed.set(password=password)
    if parsed.get_backend_name() == "sqlite":
        if parsed.database in (None, "", ":memory:"):
            raise BadDatabaseUrl("an SQLite ledger lives in a file, so that every thread sees it: sqlite:///path")
        return prepare_sqlite(
            create_engine(parsed, pool_size=POOL_SIZE, connect_args={"timeout": SQLITE_BUSY_MS / 1000})
        )
    if parsed.get_driver_name() == "psycopg":
        return create_engine(
            parsed, pool_size=POOL_SIZE, pool_pre_ping=True, connect_args={"connect_timeout": CONNECT_S}
        )
    raise BadDatabaseUrl(f"the ledger speaks sqlite:/// and postgresql+psycopg://, not {parsed.drivername}://")


def prepare_sqlite(engine: Engine) -> Engine:
    """Let every connection of an SQLite engine be as the ledger needs it."""
    event.listen(engine, "connect", _prepare_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: object) -> None:
    # The driver's own transactions begin late and end before DDL; _begin_sqlite takes their place.
    connection.isolation_level = None
    _use_wal(connection)
    for pragma in ("synchronous=FULL", "foreign_keys=ON", f"busy_timeout={SQLITE_BUSY_MS}"):
        connection.execute(f"PRAGMA {pragma}")


def _use_wal(connection: Any) -> None:
    """Two may make a new file's first connection at once: SQLite does not wait, but tells one that it is busy."""
    deadline = time.monotonic() + SQLITE_BUSY_MS / 1000
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorname != "SQLITE_BUSY" or time.monotonic() > deadline:
                raise
            time.sleep(_WAL_PAUSE_S)
        else:
            return


def _only_read(connection: Any, _record: object) -> None:
    connection.execute("PRAGMA query_only=ON")


def _begin_sqlite(tx: Connection, how: str) -> None:
    driver = tx.connection.driver_connection
    assert driver is not None  # what has begun is connected
    driver.execute(how)
