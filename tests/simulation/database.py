"""The ledger of a world: the product's own, on SQLite in memory, with a database that can fail at any statement."""

import itertools
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.pool import StaticPool

from services.devices import FlaskSetup, claim
from services.ledger.database import Database, DatabaseUnavailable, answering, prepare_sqlite
from services.ledger.tables import METADATA
from tests.simulation.straight import StraightConnection

AWAY = "away"

# Which dispensers there are, and what is in their flasks: (device, ((flask, stock_mg, flow_mg_per_s), …)).
Kitchen = tuple[tuple[str, tuple[tuple[int, int, int], ...]], ...]

# Rows of each table, those that others refer to first.
Content = list[tuple[str, list[tuple[Any, ...]]]]


class MemoryLedger(Database):
    """A `Database` in memory. One for a process: `reset` makes it new for each world.

    `is_away`: it does not answer. `fail_in(n)`: the n-th statement from now fails and its transaction with it.
    `doubt_next`: the next commit happens, but its caller hears that the database is gone.
    """

    def __init__(self, connect: Callable[[Engine, sqlite3.Connection], Connection] = StraightConnection) -> None:
        """`connect` is what the transactions of all worlds run on."""
        self.is_away = False
        self.doubt_next = False
        self.on_fault: Callable[[str], None] = lambda _kind: None
        # Every statement of every world stays prepared.
        self.raw = sqlite3.connect(":memory:", check_same_thread=False, cached_statements=1000, factory=_Failing)
        engine = create_engine("sqlite://", creator=lambda: self.raw, poolclass=StaticPool)
        super().__init__("sqlite://", engine=prepare_sqlite(engine))
        # One for all transactions of all worlds, which follow each other: half of a short one is to connect.
        self._connection = connect(engine, self.raw)
        _empty().backup(self.raw)

    def reset(self, kitchen: Kitchen) -> None:
        """Empty but for these dispensers."""
        self.is_away = self.doubt_next = False
        self.mend()
        self.on_fault = lambda _kind: None
        self._refill(_rows(kitchen))

    def back_up(self) -> sqlite3.Connection:
        return _copy(self.raw)

    def restore(self, backup: sqlite3.Connection) -> None:
        backup.backup(self.raw)

    def fail_in(self, statements: int) -> None:
        self.raw.fail_in(statements, lambda: self.on_fault("statement_failed"))

    def mend(self) -> None:
        """No statement fails any more."""
        self.raw.fail_in(None, lambda: None)

    @contextmanager
    def write(self) -> Iterator[Connection]:
        with self._transaction("BEGIN IMMEDIATE") as tx:
            yield tx
        if self.doubt_next:
            self.doubt_next = False
            self.on_fault("commit_unknown")
            raise DatabaseUnavailable("the connection broke after the commit")

    @contextmanager
    def read(self) -> Iterator[Connection]:
        with self._transaction("BEGIN") as tx:
            yield tx

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[Connection]:
        if self.is_away:
            raise DatabaseUnavailable("the database is away")
        # SQLAlchemy's own begin and commit would do the same, and more slowly.
        with answering(), self.raw:
            self.raw.at_once(begin)
            yield self._connection

    def _refill(self, content: Content) -> None:
        """Only the rows change: with the tables, or by a PRAGMA, every prepared statement would be thrown away."""
        self.raw.execute("BEGIN")
        for table, _ in reversed(content):
            self.raw.execute(f"DELETE FROM {table}")  # noqa: S608  # names from the schema
        for table, rows in content:
            if rows:
                marks = ",".join("?" * len(rows[0]))
                self.raw.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)  # noqa: S608  # as above
        self.raw.execute("COMMIT")

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """What is committed, for checkers: past every fault."""
        return self.raw.at_once(query, values).fetchall()


class _Failing(sqlite3.Connection):
    """A connection of which a statement can be made to fail."""

    def fail_in(self, statements: int | None, failed: Callable[[], None]) -> None:
        """The so many-th from now fails; None: none does. `at_once` counts no statement."""
        self.__dict__.pop("cursor", None)
        if statements is not None:
            self.__dict__["cursor"] = partial(self._begin, itertools.count(1), statements, failed)

    def _begin(self, numbers: Iterator[int], last: int, failed: Callable[[], None], *arguments: Any) -> Any:
        """What every statement begins with, in the place of `cursor`."""
        if next(numbers) < last:
            return super().cursor(*arguments)
        self.fail_in(None, failed)
        failed()
        full = sqlite3.OperationalError("database or disk is full")
        full.sqlite_errorname = "SQLITE_FULL"
        raise full

    def at_once(self, statement: str, values: Sequence[object] = ()) -> sqlite3.Cursor:
        """Run it, whatever fails."""
        return super().cursor().execute(statement, values)


@contextmanager
def without_unique_movements() -> Iterator[None]:
    """An item may have several movements."""
    found = ledger().rows("SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = 'stock_movement'")
    unique = [(name, sql) for name, sql in found if sql and "UNIQUE" in sql]
    for name, _ in unique:
        ledger().raw.execute(f"DROP INDEX {name}")
    try:
        yield
    finally:
        ledger().raw.execute("DELETE FROM stock_movement")
        for _, sql in unique:
            ledger().raw.execute(sql)


@cache
def ledger() -> MemoryLedger:
    """This process's."""
    return MemoryLedger()


@cache
def _rows(kitchen: Kitchen) -> Content:
    """Every table as it is when these dispensers have just been claimed."""
    with _migrated() as database:
        for device, flasks in kitchen:
            setups = [FlaskSetup(n, f"ingredient {n}", 2 * stock, stock, flow) for n, stock, flow in flasks]
            claim(database, device, name=device, flasks=setups, now_ms=1, by="ana", random_bytes=_no_bytes)
        with closing(sqlite3.connect(database.url.removeprefix("sqlite:///"))) as raw:
            names = [table.name for table in METADATA.sorted_tables]
            return [(name, raw.execute(f"SELECT * FROM {name}").fetchall()) for name in names]  # noqa: S608  # as above


@cache
def _empty() -> sqlite3.Connection:
    with _migrated() as database, closing(sqlite3.connect(database.url.removeprefix("sqlite:///"))) as raw:
        return _copy(raw)


@contextmanager
def _migrated() -> Iterator[Database]:
    with TemporaryDirectory() as directory:
        database = Database(f"sqlite:///{Path(directory) / 'ledger.db'}")
        database.migrate()
        yield database
        database.close()


def _copy(raw: sqlite3.Connection) -> sqlite3.Connection:
    copy = sqlite3.connect(":memory:")
    raw.backup(copy)
    return copy


def _no_bytes(size: int) -> bytes:
    return bytes(size)
