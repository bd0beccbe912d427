"""Fixtures: for the feed a virtual clock and a ledger in memory; for the app a real ledger."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from dashboard.ledger_reads import LedgerReads
from dashboard.live import LiveFeed
from services.ledger.database import Database
from tests.dashboard.bench import Clock, MemoryLedger, dispenser_view, job_view
from tests.dashboard.house import House, furnish, house_in


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ledger() -> MemoryLedger:
    return MemoryLedger(
        dispensers={"line-1": dispenser_view("line-1"), "line-2": dispenser_view("line-2")},
        jobs={"job-1": job_view("job-1")},
    )


@pytest.fixture
def feed(ledger: MemoryLedger, clock: Clock) -> LiveFeed:
    return LiveFeed(LedgerReads(ledger.fleet, ledger.job), clock.now_ms, clock.sleep)


@pytest.fixture(scope="session")
def empty_ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite ledger that was migrated once, to be copied: migrating takes longer than most tests."""
    path = tmp_path_factory.mktemp("ledger") / "empty.db"
    database = Database(f"sqlite:///{path}")
    database.migrate()
    database.close()
    return path


@pytest.fixture(scope="session")
def furnished(tmp_path_factory: pytest.TempPathFactory, empty_ledger: Path) -> House:
    """A house with two dispensers, closed: its ledger and what its dispensers know are there to be copied."""
    directory = tmp_path_factory.mktemp("furnished")
    made = house_in(directory, empty_ledger)
    furnish(made)
    made.database.close()
    return made


@pytest.fixture
def house(tmp_path: Path, furnished: House) -> Iterator[House]:
    """A house with two dispensers: line-1 with salt, pepper and paprika, line-2 with sugar."""
    made = house_in(tmp_path, furnished.ledger)
    made.at_ms, made.versions = furnished.at_ms, dict(furnished.versions)
    yield made
    made.database.close()


@pytest.fixture
def client(house: House) -> Iterator[TestClient]:
    """A signed-in client."""
    with house.client() as client:
        yield client
