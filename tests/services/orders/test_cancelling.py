"""A job is stopped: at once while the server alone has it, else by its dispenser's word."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from services.orders import AlreadyEnded, OrderedItem, UnknownJob, cancel, place


def test_a_queued_job_ends_at_once_and_frees_its_stock(kitchen: Any) -> None:
    job = kitchen.place((1, 100), (2, 200), (1, 50))
    ended = kitchen.cancel(job.job)
    assert (ended.state, ended.ended_at_ms) == ("cancelled", kitchen.now_ms)
    assert [item.state for item in ended.items] == ["skipped"] * 3
    assert [kitchen.flask(number)["reserved_mg"] for number in (1, 2)] == [0, 0]
    assert kitchen.flips(job.job)[1:] == [
        (-1, "queued", "cancelled"),
        *[(item, "pending", "skipped") for item in range(3)],
    ]
    kitchen.audit()


def test_a_job_that_was_offered_waits_for_its_dispensers_word(kitchen: Any) -> None:
    job = kitchen.place((1, 100))
    kitchen.status()
    kitchen.due()
    asked = kitchen.cancel(job.job)
    assert (asked.state, asked.cancel_requested_at_ms) == ("offered", kitchen.now_ms)
    assert kitchen.flask(1)["reserved_mg"] == 100
    kitchen.complete(job.job)
    assert kitchen.job(job.job).state == "cancelled"
    assert kitchen.flask(1)["reserved_mg"] == 0


def test_asking_again_changes_nothing(kitchen: Any) -> None:
    job = kitchen.place((1, 100))
    kitchen.status()
    kitchen.due()
    kitchen.accept(job.job)
    first = kitchen.cancel(job.job)
    kitchen.now_ms += 500
    assert kitchen.cancel(job.job) == first
    assert first.state == "running"


def test_what_ended_cannot_be_stopped(kitchen: Any) -> None:
    job = kitchen.place((1, 100))
    kitchen.run(job.job, ("done", 100))
    with pytest.raises(AlreadyEnded, match="done"):
        kitchen.cancel(job.job)
    queued = kitchen.place((1, 100))
    kitchen.cancel(queued.job)
    with pytest.raises(AlreadyEnded, match="cancelled"):
        kitchen.cancel(queued.job)


def test_an_unknown_job_is_refused_by_name(kitchen: Any) -> None:
    with pytest.raises(UnknownJob, match="job-9"):
        kitchen.cancel("job-9")


# The steps of a job of two items, each with what the dispatcher or the dispenser does next.
STEPS: dict[str, Callable[[Any, str], object]] = {
    "queued": lambda kitchen, _job: kitchen.due(),
    "offered": lambda kitchen, job: kitchen.accept(job),
    "accepted": lambda kitchen, job: kitchen.progress(job, 0, "dispensing"),
    "dispensing": lambda kitchen, job: kitchen.progress(job, 0, "done"),
    "half done": lambda kitchen, job: kitchen.complete(job, ("done", 100), ("skipped", 0)),
}


@pytest.mark.parametrize("step", STEPS)
def test_fifty_orders_and_cancels_at_once_at_every_step_keep_the_truth_and_free_the_stock_once(
    kitchen: Any, step: str
) -> None:
    job = kitchen.place((1, 100), (2, 200)).job
    kitchen.status()
    for done in list(STEPS)[: list(STEPS).index(step)]:
        STEPS[done](kitchen, job)
    start = threading.Barrier(51)

    def storm(number: int) -> None:
        start.wait(timeout=30)
        if number % 2:
            items = [OrderedItem(flask, 10) for flask in (2, 1)]
            place(kitchen.database, device="mix-1", items=items, now_ms=1, job_id=f"at-once-{number}", by="ana")
            return
        try:
            cancel(kitchen.database, job, by="ana", now_ms=kitchen.now_ms)
        except AlreadyEnded:
            assert step in ("queued", "half done")

    def go_on() -> None:
        start.wait(timeout=30)
        STEPS[step](kitchen, job)

    with ThreadPoolExecutor(51) as pool:
        working = [pool.submit(storm, number) for number in range(50)] + [pool.submit(go_on)]
        for one in working:
            one.result(60)
    kitchen.audit()
    dispensed = kitchen.job(job).seq is not None
    if dispensed:
        # The dispenser had opened the first flask by the time the cancel reached it.
        kitchen.complete(job, ("done", 100), ("skipped", 0))
    assert kitchen.job(job).state == ("done_partial" if dispensed else "cancelled")
    for number in range(1, 50, 2):
        other = cancel(kitchen.database, f"at-once-{number}", by="ana", now_ms=kitchen.now_ms)
        if other.state == "offered":
            kitchen.complete(other.job)
    assert [kitchen.flask(flask)["reserved_mg"] for flask in (1, 2)] == [0, 0]
    assert kitchen.flask(1)["stock_mg"] == 1_000_000 - (100 if dispensed else 0)
    assert kitchen.flask(2)["stock_mg"] == 1_000_000
    kitchen.audit()
