"""Messages are valid when they exist."""

from typing import Any

import pytest

from protocol import messages
from protocol.fields import BadValue


def report(**changes: Any) -> messages.ItemReport:
    values: dict[str, Any] = {
        "item": 0, "flask": 1, "state": "done", "target_mg": 1000, "dispensed_mg": 1003, "duration_ms": 50,
        "error": None,
    }  # fmt: skip
    values.update(changes)
    return messages.ItemReport(**values)


def completed(*items: messages.ItemReport, state: str) -> messages.JobCompleted:
    return messages.JobCompleted(job="j", seq=1, state=state, items=items, epoch="deadbeef", boot=1, ms=0)


def test_a_missing_and_an_unknown_value_are_refused() -> None:
    with pytest.raises(BadValue, match="epoch is missing"):
        messages.CancelJob(job="j", seq=1)  # type: ignore[call-arg]  # the point of the test
    with pytest.raises(BadValue, match="unknown: why"):
        messages.CancelJob(job="j", seq=1, epoch="deadbeef", why="x")  # type: ignore[call-arg]  # the point of the test


def test_a_field_that_an_earlier_release_does_not_know_may_be_absent() -> None:
    old = {"online": True, "epoch": "deadbeef", "boot": 1, "connection": 1, "ms": 5, "firmware": "1.0"}
    old |= {"reset_cause": "soft", "config_version": 1, "job": None, "last_seq": 0, "receipted_seq": 0, "fault": None}
    status = messages.StatusReported(**old)  # type: ignore[arg-type]  # the values of a table
    assert (status.stop_ms, status.stop_mg) == (None, None)
    assert status.values() == dict(old, stop_ms=None, stop_mg=None)
    with pytest.raises(BadValue, match="unknown: extra"):
        messages.StatusReported(**old, extra=1)  # type: ignore[arg-type,call-arg]  # the point of the test


@pytest.mark.parametrize("state", ["done", "failed"])
def test_a_finished_item_knows_its_amount(state: str) -> None:
    with pytest.raises(BadValue, match="knows its amount"):
        report(state=state, dispensed_mg=None)


@pytest.mark.parametrize("state", ["in_doubt", "skipped"])
def test_an_item_that_is_in_doubt_or_skipped_claims_no_amount(state: str) -> None:
    with pytest.raises(BadValue, match="has no amount"):
        report(state=state, dispensed_mg=5)


def test_a_completion_says_what_its_items_say() -> None:
    failed = report(item=1, state="failed", dispensed_mg=0, error="jammed")
    assert completed(report(), failed, state="done_partial").state == "done_partial"
    with pytest.raises(BadValue, match="the items say done_partial"):
        completed(report(), failed, state="done")


def test_a_completion_lists_its_items_in_order() -> None:
    with pytest.raises(BadValue, match=r"items\[1\] says it is item 0"):
        completed(report(), report(), state="done")


def test_records_with_the_same_values_are_equal_and_hash_alike() -> None:
    assert report() == report()
    assert hash(report()) == hash(report())
    assert report() != report(dispensed_mg=1)
    assert report() != messages.ResendCompletions(from_seq=1)
    assert "dispensed_mg=1003" in repr(report())


@pytest.mark.parametrize("text", ["a\x00b", "line\nbreak", "\ud800", "\x7f", ""])
def test_free_text_is_printable(text: str) -> None:
    with pytest.raises(BadValue, match="ingredient"):
        messages.StockChanged(revision=1, ingredient=text, stock_mg=0, reserved_mg=0)


def test_free_text_may_be_in_any_script() -> None:
    assert messages.StockChanged(revision=1, ingredient="Açaí 粉", stock_mg=-5, reserved_mg=0).ingredient == "Açaí 粉"
