"""Databases for the tests of the services: each test gets its own, migrated, on SQLite and on PostgreSQL."""

import contextlib
import itertools
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, delete, event, make_url, select, text

from pitada.local.postgresql import LocalPostgresql, LocalPostgresqlError
from protocol import codec, topics
from protocol.messages import ItemProgressed, ItemReport, JobAccepted, JobCompleted, StatusReported
from protocol.states import job_outcome
from services.devices import FlaskSetup, claim
from services.ledger import queries, restored, tables
from services.ledger.audit import audit
from services.ledger.database import Database
from services.ledger.outbox import Due, due
from services.ledger.settle import Incoming, settle
from services.ledger.tables import METADATA
from services.ledger.views import JobView
from services.orders import OrderedItem, cancel, place, retry
from tests.programs import absent

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    """A server for the whole run, stopped at its end: the installed one, else a container where Docker answers."""
    # Not in pytest's own directory: run by root, the server is another user, who may not enter that one.
    directory = Path(tempfile.mkdtemp(prefix="pitada-postgresql-"))
    try:
        with LocalPostgresql(directory, fsync=False) as server:
            yield server.url
    except LocalPostgresqlError as missing:
        with _container(missing) as url:
            yield url
    finally:
        shutil.rmtree(directory)


@contextlib.contextmanager
def _container(missing: LocalPostgresqlError) -> Iterator[str]:
    # Only where it is needed: it looks for Docker as soon as it is imported.
    from docker.errors import DockerException
    from testcontainers.postgres import PostgresContainer

    try:
        container = PostgresContainer("postgres:15-alpine", driver="psycopg").start()
    except DockerException:
        absent(str(missing))
    try:
        yield container.get_connection_url()
    finally:
        container.stop()


@pytest.fixture(scope="session")
def migrated_url(postgresql_url: str) -> str:
    """A migrated database on that server. Each test finds it empty: emptying is much cheaper than making another."""
    url = _create(postgresql_url, "migrated")
    database = Database(url)
    database.migrate()
    database.close()
    return url


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file that others are copied from."""
    path = tmp_path_factory.mktemp("ledger") / "migrated.db"
    database = Database(f"sqlite:///{path}")
    database.migrate()
    database.close()
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database without tables."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'empty.db'}"
    return _create(request.getfixturevalue("postgresql_url"), f"empty_{next(_numbers)}")


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A migrated database of the test's own."""
    if request.param == "sqlite":
        path = tmp_path / "ledger.db"
        shutil.copy(request.getfixturevalue("migrated_file"), path)
        opened = Database(f"sqlite:///{path}")
        event.listen(opened.engine, "connect", _do_not_wait_for_the_disk)
    else:
        opened = Database(request.getfixturevalue("migrated_url"))
        with opened.write() as tx:
            for table in reversed(METADATA.sorted_tables):
                tx.execute(delete(table))
    yield opened
    opened.close()


def _do_not_wait_for_the_disk(connection: sqlite3.Connection, _record: object) -> None:
    # As fsync off on the other database: only the crash of the machine would lose what was committed.
    connection.execute("PRAGMA synchronous=OFF")


def _create(server: str, name: str) -> str:
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f'CREATE DATABASE "{name}"'))
    engine.dispose()
    return _url_of(server, name)


def _url_of(server: str, name: str) -> str:
    return make_url(server).set(database=name).render_as_string(hide_password=False)


class Kitchen:
    """Dispensers as the services see them: `mix-1` (more by `claim`) with 1 kg in each of three flasks, and its words.

    Every `settle` and `due` is followed by an audit.
    """

    def __init__(self, database: Database) -> None:
        self.database = database
        self.now_ms = 1_800_000_000_000
        self.ids = (f"job-{number}" for number in itertools.count(1))
        self.claim("mix-1")

    def claim(self, device: str, stock_mg: int = 1_000_000) -> str:
        names = ("flour", "sugar", "salt")
        flasks = [FlaskSetup(n, name, 2_000_000, stock_mg, 10_000) for n, name in enumerate(names, 1)]
        return claim(self.database, device, name=device, flasks=flasks, now_ms=self.now_ms, by="ana")

    def place(self, *items: tuple[int, int], device: str = "mix-1", **options: Any) -> JobView:
        ordered = [OrderedItem(flask, target_mg) for flask, target_mg in items]
        given = {"job_id": next(self.ids), "by": "ana", "now_ms": self.now_ms, **options}
        return place(self.database, device=device, items=ordered, **given)

    def cancel(self, job: str) -> JobView:
        return cancel(self.database, job, by="ana", now_ms=self.now_ms)

    def retry(self, job: str) -> JobView:
        return retry(self.database, job, now_ms=self.now_ms, new_job_id=next(self.ids), by="bia")

    def due(self, after_ms: int = 1) -> list[Due]:
        """What dispatch must send `after_ms` from the last call."""
        self.now_ms += after_ms
        with self.database.write() as tx:
            messages = due(tx, self.now_ms)
        self.audit()
        return messages

    def job(self, job: str) -> JobView:
        with self.database.read() as tx:
            found = queries.job(tx, job)
        assert found is not None
        return found

    def flask(self, flask: int, device: str = "mix-1") -> dict[str, Any]:
        table = tables.flask
        with self.database.read() as tx:
            asked = select(table).where(table.c.device == device, table.c.flask == flask)
            return dict(tx.execute(asked).mappings().one())

    def flips(self, job: str) -> list[tuple[int, str | None, str]]:
        table = tables.flip
        asked = select(table.c.item, table.c.from_state, table.c.to_state).where(table.c.job == job)
        with self.database.read() as tx:
            return [tuple(row) for row in tx.execute(asked.order_by(table.c.at_ms, table.c.item, table.c.rank))]

    def audit(self) -> None:
        with self.database.read() as tx:
            assert audit(tx).problems == []

    # What dispensers say

    def status(self, device: str = "mix-1", **values: Any) -> None:
        """A status, online and configured unless told otherwise. A newer one needs a higher `connection` or `ms`."""
        given = {"online": True, "epoch": "aaaaaaaa", "boot": 1, "connection": 1, "ms": self._ms(), "firmware": "1.0"}
        given |= {"reset_cause": "power_on", "config_version": 1, "job": None, "last_seq": 0, "receipted_seq": 0}
        record = StatusReported(**{**given, "fault": None, **values})
        self.settle(Incoming(topics.STATUS.topic(device), codec.encode(record)))

    def accept(self, job: str, refusal: str | None = None) -> None:
        view = self.job(job)
        record = JobAccepted(job=job, seq=view.seq or 0, refusal=refusal, epoch="aaaaaaaa", boot=1, ms=self._ms())
        self.settle(Incoming(topics.ACCEPT.topic(view.device), codec.encode(record)))

    def progress(self, job: str, item: int, state: str) -> None:
        """The item is open (dispensing), or all of it is dispensed (done)."""
        view = self.job(job)
        record = ItemProgressed(
            job=job,
            seq=view.seq or 0,
            item=item,
            state=state,
            target_mg=view.items[item].target_mg,
            dispensed_mg=view.items[item].target_mg if state == "done" else None,
            duration_ms=100 if state == "done" else None,
            error=None,
            epoch="aaaaaaaa",
            boot=1,
            ms=self._ms(),
        )
        self.settle(Incoming(topics.PROGRESS.topic(view.device, view.items[item].flask), codec.encode(record)))

    def complete(self, job: str, *ends: tuple[str, int | None], seq: int | None = None) -> None:
        """(state, dispensed_mg) of each item; none at all: the dispenser never had the job."""
        view = self.job(job)
        errors = {"failed": "jammed", "skipped": "cancelled", "in_doubt": "interrupted"}
        reports = tuple(
            ItemReport(
                item=item.item,
                flask=item.flask,
                state=state,
                target_mg=item.target_mg,
                dispensed_mg=amount,
                duration_ms=None if amount is None else 100,
                error=errors.get(state),
            )
            for item, (state, amount) in zip(view.items[: len(ends)], ends, strict=True)
        )
        state = job_outcome([state for state, _ in ends])
        number = (view.seq or 0) if seq is None else seq
        record = JobCompleted(job=job, seq=number, state=state, items=reports, epoch="aaaaaaaa", boot=1, ms=self._ms())
        self.settle(Incoming(topics.COMPLETION.topic(view.device), codec.encode(record)))

    def ask(self, after_ms: int = 1) -> list[tuple[str, int]]:
        """(device, first number) of each request for lost reports."""
        self.now_ms += after_ms
        with self.database.read() as tx:
            is_due = restored.is_due(tx, self.now_ms)
        with self.database.write() as tx:
            requests = restored.ask(tx, self.now_ms)
        assert is_due or not requests
        self.audit()
        return [(device, request.from_seq) for device, request in requests]

    def report_lost(self, seq: int, job: str = "", amount_mg: int = 10) -> str:
        """The report of a job with one item, which a restored ledger need not know."""
        report = ItemReport(
            item=0, flask=1, state="done", target_mg=amount_mg, dispensed_mg=amount_mg, duration_ms=1, error=None
        )
        name = job or f"lost-{seq}"
        record = JobCompleted(job=name, seq=seq, state="done", items=(report,), epoch="aaaaaaaa", boot=1, ms=self._ms())
        self.settle(Incoming(topics.COMPLETION.topic("mix-1"), codec.encode(record)))
        return name

    def settle(self, *batch: Incoming) -> None:
        self.now_ms += 1
        with self.database.write() as tx:
            settled = settle(tx, batch, self.now_ms)
        assert settled.dead_letters == 0
        self.audit()

    def run(self, job: str, *ends: tuple[str, int | None]) -> None:
        """Offer the job, which is the next, and complete it."""
        self.status()
        (offer,) = self.due()
        assert getattr(offer.message, "job", None) == job
        self.accept(job)
        self.complete(job, *ends)

    def _ms(self) -> int:
        return self.now_ms - 1_800_000_000_000


@pytest.fixture
def kitchen(database: Database) -> Kitchen:
    return Kitchen(database)
