"""A retry orders what did not leave the flasks, and nothing that did."""

from typing import Any

import pytest

from services.devices import FlaskChange, configure
from services.ledger import stock
from services.orders import IngredientReplaced, NotEnoughStock, NothingToRetry, RetryOpen, StillOpen, UnknownJob


def items(job: Any) -> list[tuple[int, int]]:
    return [(item.flask, item.target_mg) for item in job.items]


def resolve(kitchen: Any, job: str, item: int, outcome: str, weighed_mg: int | None = None) -> None:
    with kitchen.database.write() as tx:
        stock.resolve(tx, job, item, outcome=outcome, weighed_mg=weighed_mg, by="ana", now_ms=kitchen.now_ms)


def test_only_what_failed_or_was_skipped_is_ordered_again_and_only_what_remains(kitchen: Any) -> None:
    job = kitchen.place((1, 100), (2, 200), (3, 300), (2, 50))
    kitchen.run(job.job, ("done", 100), ("failed", 0), ("failed", 120), ("skipped", None))
    retried = kitchen.retry(job.job)
    assert items(retried) == [(2, 200), (3, 180), (2, 50)]
    assert (retried.state, retried.retry_of, retried.placed_by) == ("queued", job.job, "bia")
    assert [kitchen.flask(number)["reserved_mg"] for number in (1, 2, 3)] == [0, 250, 180]
    kitchen.audit()


def test_a_queued_job_that_was_cancelled_can_be_retried_whole(kitchen: Any) -> None:
    job = kitchen.place((1, 100), (2, 200))
    kitchen.cancel(job.job)
    assert items(kitchen.retry(job.job)) == [(1, 100), (2, 200)]


def test_a_job_is_retried_once_at_a_time(kitchen: Any) -> None:
    job = kitchen.place((1, 100))
    kitchen.run(job.job, ("failed", 0))
    retried = kitchen.retry(job.job)
    with pytest.raises(RetryOpen, match=retried.job):
        kitchen.retry(job.job)
    kitchen.cancel(retried.job)
    assert items(kitchen.retry(job.job)) == [(1, 100)]


def test_what_a_retry_dispensed_is_never_ordered_again_from_either_job(kitchen: Any) -> None:
    job = kitchen.place((1, 100), (2, 200))
    kitchen.run(job.job, ("failed", 30), ("failed", 0))
    second = kitchen.retry(job.job)
    kitchen.run(second.job, ("failed", 20), ("done", 200))
    third = kitchen.retry(job.job)
    assert items(third) == [(1, 50)]
    with pytest.raises(RetryOpen, match=third.job):
        kitchen.retry(second.job)
    kitchen.run(third.job, ("done", 50))
    for tried in (job, second, third):
        with pytest.raises(NothingToRetry, match="every item was dispensed"):
            kitchen.retry(tried.job)


def test_an_item_in_doubt_blocks_only_itself(kitchen: Any) -> None:
    job = kitchen.place((1, 100), (2, 200))
    kitchen.run(job.job, ("in_doubt", None), ("failed", 0))
    second = kitchen.retry(job.job)
    assert items(second) == [(2, 200)]
    kitchen.run(second.job, ("done", 200))
    with pytest.raises(NothingToRetry, match="1 of its items nobody knows"):
        kitchen.retry(job.job)
    resolve(kitchen, job.job, 0, "not_dispensed")
    assert items(kitchen.retry(job.job)) == [(1, 100)]


def test_what_was_weighed_counts_as_dispensed(kitchen: Any) -> None:
    job = kitchen.place((1, 100), (2, 200), (3, 300))
    kitchen.run(job.job, ("in_doubt", None), ("in_doubt", None), ("in_doubt", None))
    resolve(kitchen, job.job, 0, "weighed", 40)
    resolve(kitchen, job.job, 1, "weighed", 210)
    resolve(kitchen, job.job, 2, "dispensed")
    assert items(kitchen.retry(job.job)) == [(1, 60)]


def test_a_job_that_is_not_over_cannot_be_retried(kitchen: Any) -> None:
    job = kitchen.place((1, 100))
    with pytest.raises(StillOpen, match="queued"):
        kitchen.retry(job.job)
    kitchen.status()
    kitchen.due()
    kitchen.accept(job.job)
    with pytest.raises(StillOpen, match="running"):
        kitchen.retry(job.job)


def test_a_retry_needs_its_stock_as_any_order(kitchen: Any) -> None:
    job = kitchen.place((1, 600_000))
    kitchen.run(job.job, ("failed", 0))
    kitchen.place((1, 600_000))
    with pytest.raises(NotEnoughStock):
        kitchen.retry(job.job)


def test_a_job_that_expired_unoffered_can_be_retried(kitchen: Any) -> None:
    job = kitchen.place((1, 100), expires_at_ms=kitchen.now_ms + 10)
    assert kitchen.due(after_ms=10) == []
    assert items(kitchen.retry(job.job)) == [(1, 100)]


def test_a_job_that_expired_after_its_offer_waits_for_the_dispensers_word(kitchen: Any) -> None:
    job = kitchen.place((1, 100), (2, 200), expires_at_ms=kitchen.now_ms + 10)
    kitchen.status()
    kitchen.due()
    kitchen.due(after_ms=10)
    assert kitchen.job(job.job).state == "expired"
    with pytest.raises(NothingToRetry, match="nobody knows"):
        kitchen.retry(job.job)
    kitchen.complete(job.job, ("done", 100), ("failed", 0))
    assert kitchen.job(job.job).state == "done_partial"
    assert items(kitchen.retry(job.job)) == [(2, 200)]


def test_a_job_that_expired_on_a_flash_store_that_was_replaced_is_resolved_and_then_retried(kitchen: Any) -> None:
    job = kitchen.place((1, 100), expires_at_ms=kitchen.now_ms + 10)
    kitchen.status()
    kitchen.due()
    kitchen.due(after_ms=10)
    kitchen.status(epoch="bbbbbbbb")
    assert [item.state for item in kitchen.job(job.job).items] == ["in_doubt"]
    with pytest.raises(NothingToRetry, match="nobody knows"):
        kitchen.retry(job.job)
    resolve(kitchen, job.job, 0, "not_dispensed")
    assert items(kitchen.retry(job.job)) == [(1, 100)]


def test_an_unknown_job_is_refused_by_name(kitchen: Any) -> None:
    with pytest.raises(UnknownJob, match="job-9"):
        kitchen.retry("job-9")


def test_a_flask_that_holds_something_else_since_is_not_opened_for_the_old_ingredient(kitchen: Any) -> None:
    first = kitchen.place((1, 1_000_000))
    kitchen.run(first.job, ("failed", 999_000))
    with kitchen.database.write() as tx:
        stock.count(tx, "mix-1", 1, 0, by="ana", now_ms=kitchen.now_ms)
    configure(kitchen.database, "mix-1", [FlaskChange(1, ingredient="rye")])
    with kitchen.database.write() as tx:
        stock.refill(tx, "mix-1", 1, 5_000, by="ana", now_ms=kitchen.now_ms)
    with pytest.raises(IngredientReplaced, match="holds rye now, the job was for flour"):
        kitchen.retry(first.job)
    assert kitchen.flask(1)["reserved_mg"] == 0
