"""One job's picture between what the dispenser says and what the ledger has."""

import itertools
from typing import Any

import pytest

from dashboard.job_picture import JobPicture, item_values, job_value, summary_value
from protocol.codec import decode
from protocol.messages import ItemProgressed, JobAccepted, JobCompleted
from tests.dashboard.bench import START_MS, Message, accept, completion, item_view, job_view, progress


@pytest.fixture
def picture() -> JobPicture:
    return JobPicture(job_view(), {}, {1: 2_000})


def apply(picture: JobPicture, message: Message) -> bool:
    topic, payload = message
    if topic.endswith("/progress"):
        report = decode(ItemProgressed, payload)
        return picture.progressed(report.item + 1, report, START_MS)
    if topic.endswith("/accept"):
        return picture.answered(decode(JobAccepted, payload))
    return picture.completed(decode(JobCompleted, payload), START_MS)


def item(picture: JobPicture, n: int) -> dict[str, Any]:
    return dict(item_values(picture)[f"item/{n}"])


def test_any_order_with_repeats_shows_the_same_end() -> None:
    messages = [accept(), progress(0, "dispensing"), progress(0, "done"), completion("done", "failed")]
    for order in itertools.permutations(messages + messages[1:2]):
        picture = JobPicture(job_view(), {}, {})
        for message in order:
            apply(picture, message)
        assert picture.view.state == "done_partial"
        assert [entry.state for entry in picture.view.items] == ["done", "failed"]
        assert item(picture, 1)["error"] == "jammed"


def test_an_open_flask_carries_what_an_estimate_needs(picture: JobPicture) -> None:
    apply(picture, progress(0, "dispensing"))
    assert (item(picture, 0)["since_ms"], item(picture, 0)["flow_mg_per_s"]) == (START_MS, 2_000)
    assert item(picture, 1)["flow_mg_per_s"] is None


def test_a_refusal_is_shown_while_the_job_waits_and_gone_when_it_is_taken(picture: JobPicture) -> None:
    assert apply(picture, accept(refusal="busy"))
    assert (job_value(picture)["refusal"], picture.view.state) == ("busy", "queued")
    apply(picture, accept())
    assert (job_value(picture)["refusal"], picture.view.state) == (None, "running")


def test_an_end_is_settled_only_when_the_ledger_says_the_same(picture: JobPicture) -> None:
    apply(picture, completion("done", "done"))
    assert job_value(picture)["settled"] is False
    picture.settle(job_view(state="running"))
    assert (job_value(picture)["settled"], picture.view.state) == (False, "done")
    items = (item_view(0, state="done", dispensed_mg=4_990), item_view(1, state="done", dispensed_mg=2_001))
    picture.settle(job_view(state="done", items=items, ended_at_ms=START_MS + 50))
    assert (job_value(picture)["settled"], job_value(picture)["dispensed_mg"]) == (True, 6_991)


def test_what_the_dispenser_replays_after_the_end_changes_nothing(picture: JobPicture) -> None:
    items = (item_view(0, state="done", dispensed_mg=4_990), item_view(1, state="failed", error="jammed"))
    picture.settle(job_view(state="done_partial", items=items))
    for message in (accept(), progress(0, "done"), completion("done", "failed")):
        assert not apply(picture, message)
    assert job_value(picture)["settled"] is True


def test_a_requested_stop_is_shown_until_the_job_ends(picture: JobPicture) -> None:
    picture.settle(job_view(state="running", cancel_requested_at_ms=START_MS))
    assert job_value(picture)["stopping"] is True
    picture.settle(job_view(state="cancelled", cancel_requested_at_ms=START_MS))
    assert job_value(picture)["stopping"] is False


def test_a_report_of_another_flask_or_of_an_item_that_is_not_there_is_no_news(picture: JobPicture) -> None:
    report = decode(ItemProgressed, progress(0, "done")[1])
    assert not picture._report(0, 9, report.state, 1, 1, None, None)  # the guard itself, whatever calls it
    assert not picture._report(7, 8, report.state, 1, 1, None, None)  # as above


def test_a_resolution_in_the_ledger_is_shown(picture: JobPicture) -> None:
    doubt = item_view(0, state="in_doubt", error="interrupted", resolution="not_dispensed")
    picture.settle(job_view(state="failed", items=(doubt, item_view(1, state="failed"))))
    assert item(picture, 0)["resolution"] == "not_dispensed"


def test_a_summary_counts_flasks_and_grams() -> None:
    items = (item_view(0, state="done", dispensed_mg=5_100), item_view(1, state="failed", dispensed_mg=0))
    summary = summary_value(job_view(state="done_partial", items=items))
    assert (summary["done"], summary["flasks"], summary["dispensed_mg"]) == (1, 2, 5_100)
