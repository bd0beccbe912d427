"""A dispenser over HTTP, on both databases: its presence, its orders, its reports."""

from typing import Any

import pytest

from protocol import codec
from protocol.messages import CompletionReceived, ItemReport, JobCompleted, StatusReported
from services import fallback
from services.fallback import NotPresent, NotUnderstood
from services.ledger import queries


def status(**values: Any) -> bytes:
    given = {"online": True, "epoch": "aaaaaaaa", "boot": 1, "connection": 1, "ms": 1, "firmware": "1.0"}
    given |= {"reset_cause": "power_on", "config_version": 1, "job": None, "last_seq": 0, "receipted_seq": 0}
    return codec.encode(StatusReported(**{**given, "fault": None, **values}))


def done(job: str, seq: int) -> bytes:
    report = ItemReport(item=0, flask=1, state="done", target_mg=100, dispensed_mg=90, duration_ms=9, error=None)
    return codec.encode(JobCompleted(job=job, seq=seq, state="done", items=(report,), epoch="aaaaaaaa", boot=1, ms=2))


def test_one_is_present_after_a_status_only(kitchen: Any) -> None:
    with pytest.raises(NotPresent):
        fallback.next_offer(kitchen.database, "mix-1", kitchen.now_ms)
    assert fallback.report(kitchen.database, "mix-1", status(), kitchen.now_ms).online
    assert fallback.next_offer(kitchen.database, "mix-1", kitchen.now_ms) is None


def test_a_status_with_the_numbers_of_a_connection_that_was_given_up_is_answered_so(kitchen: Any) -> None:
    kitchen.status(connection=2)
    assert not fallback.report(kitchen.database, "mix-1", status(), kitchen.now_ms).online
    assert fallback.report(kitchen.database, "mix-1", status(connection=3), kitchen.now_ms).online


def test_the_offer_stays_the_same_and_the_report_settles_once(kitchen: Any) -> None:
    job = kitchen.place((1, 100)).job
    fallback.report(kitchen.database, "mix-1", status(), kitchen.now_ms)
    offers = [fallback.next_offer(kitchen.database, "mix-1", kitchen.now_ms) for _ in range(3)]
    assert [(offer.job, offer.seq) for offer in offers if offer] == [(job, 1)] * 3
    for _ in range(2):
        receipt, settled = fallback.complete(kitchen.database, "mix-1", job, done(job, 1), kitchen.now_ms)
        assert receipt == CompletionReceived(job=job, seq=1, epoch="aaaaaaaa")
        assert settled.dead_letters == 0
    assert kitchen.flask(1)["stock_mg"] == 999_910
    kitchen.audit()


@pytest.mark.parametrize("payload", [b"", b"{", done("other", 1), b"x" * 5_000])
def test_what_is_not_the_message_is_kept_and_refused(kitchen: Any, payload: bytes) -> None:
    with pytest.raises(NotUnderstood) as refused:
        fallback.complete(kitchen.database, "mix-1", "job-1", payload, kitchen.now_ms)
    assert refused.value.is_too_large == (len(payload) == 5_000)
    with kitchen.database.read() as tx:
        (letter,) = queries.dead_letters(tx)
    assert letter.reason == ("too_large" if len(payload) == 5_000 else "malformed")
