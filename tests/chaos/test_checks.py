"""The checks of the soak see what they are there to see."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from services import orders
from services.clock import now_ms
from services.ledger.database import Database
from services.orders import OrderedItem
from simulators.fleet import Fleet
from simulators.truth import CLOSED, Opening
from tests.chaos import checks
from tests.chaos.checks import Verdict, judge
from tests.chaos.house_kills import claim
from tests.chaos.operators import USER


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    ledger = Database(f"sqlite:///{tmp_path / 'ledger.db'}")
    ledger.migrate()
    yield ledger
    ledger.close()


@pytest.fixture
def fleet(database: Database) -> Fleet:
    """Never switched on: what left its flasks is written into its truth."""
    return Fleet(claim(database, 1), "127.0.0.1", 1)


def opening(job: str | None, mg: int) -> Opening:
    return Opening("sim-000", 1, 1, job, None if job is None else 0, 0, 100, mg, CLOSED)


def wrong(verdict: Verdict) -> set[str]:
    """The counts that are not 0."""
    assert verdict.held == (not verdict.problems)
    return {name for name, count in vars(verdict).items() if name != "problems" and count}


def test_a_ledger_at_rest_holds(database: Database, fleet: Fleet) -> None:
    assert wrong(judge(database, fleet, set(), {}, [])) == set()


def test_a_receipt_for_what_the_ledger_has_not_is_seen(database: Database, fleet: Fleet) -> None:
    assert wrong(judge(database, fleet, {"J"}, {}, [])) == {"receipted_lost"}


def test_an_order_that_was_answered_and_is_gone_is_seen(database: Database, fleet: Fleet) -> None:
    assert wrong(judge(database, fleet, set(), {"key": "J"}, [])) == {"orders_lost"}


def test_an_order_of_which_nobody_was_told_and_that_does_not_end_is_seen(database: Database, fleet: Fleet) -> None:
    orders.place(database, device="sim-000", items=[OrderedItem(1, 100)], now_ms=now_ms(), job_id="J", by=USER)
    assert wrong(judge(database, fleet, set(), {}, [])) == {"orders_doubled", "open_jobs", "reserved_mg"}


def test_every_job_is_looked_at_however_many_pages_they_take(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim(database, 1)
    monkeypatch.setattr(checks, "_PAGE", 2)
    for number in range(5):
        orders.place(database, device="sim-000", items=[OrderedItem(1, 100)], now_ms=7, job_id=f"J{number}", by=USER)
    with database.read() as tx:
        assert {job.job for job in checks.every_job(tx)} == {f"J{number}" for number in range(5)}
        assert len(list(checks.every_job(tx, {"queued"}))) == 5
        assert list(checks.every_job(tx, {"done"})) == []


def test_what_left_a_flask_without_the_ledgers_word_is_seen(database: Database, fleet: Fleet) -> None:
    fleet.truth.record(opening("J", 5))
    assert wrong(judge(database, fleet, set(), {}, [])) == {"divergences"}


def test_an_item_opened_twice_and_one_opened_for_nothing_are_seen(database: Database, fleet: Fleet) -> None:
    fleet.truth.record(opening("J", 0))
    fleet.truth.record(opening("J", 0))
    assert wrong(judge(database, fleet, set(), {}, [])) == {"double_dispenses"}
    fleet.truth.record(opening(None, 0))
    assert wrong(judge(database, fleet, set(), {}, [])) == {"double_dispenses", "unjournaled"}


def test_retained_stock_that_is_not_the_ledgers_is_seen(database: Database, fleet: Fleet) -> None:
    assert wrong(judge(database, fleet, set(), {}, ["it says something else"])) == {"stale_stock"}
