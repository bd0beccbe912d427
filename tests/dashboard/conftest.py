"""Fixtures for the live feed: a virtual clock and a ledger in memory behind the feed's own interface."""

import pytest

from dashboard.ledger_reads import LedgerReads
from dashboard.live import LiveFeed
from tests.dashboard.bench import Clock, MemoryLedger, dispenser_view, job_view


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
