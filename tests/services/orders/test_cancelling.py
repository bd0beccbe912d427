"""A job is stopped: at once while the server alone has it, else by its dispenser's word."""

from typing import Any

import pytest

from services.orders import AlreadyEnded, UnknownJob


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
