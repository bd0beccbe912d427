"""A restored ledger: what the dispenser knows and the backup does not is asked for, waited for, and never run again."""

from typing import Any

import pytest
from sqlalchemy import select

from protocol import codec, topics
from protocol.messages import ItemReport, JobCompleted, OfferJob
from services.ledger import tables
from services.ledger.presence import RESEND_TRIES
from services.ledger.restored import RESEND_REPEAT_MS
from services.ledger.settle import Incoming, settle


def device(kitchen: Any) -> dict[str, Any]:
    with kitchen.database.read() as tx:
        return dict(tx.execute(select(tables.device)).mappings().one())


def letters(kitchen: Any) -> list[str]:
    with kitchen.database.read() as tx:
        return list(tx.execute(select(tables.dead_letter.c.reason)).scalars())


def give_up(kitchen: Any) -> None:
    """Let every request go unanswered."""
    for _ in range(RESEND_TRIES - 1):
        assert kitchen.ask(after_ms=RESEND_REPEAT_MS) == [("mix-1", 1)]
    assert kitchen.ask(after_ms=RESEND_REPEAT_MS) == []
    assert device(kitchen)["resend_left"] == 0


@pytest.fixture
def ahead(kitchen: Any) -> Any:
    """A kitchen whose dispenser has used the numbers 1 to 3, of which the ledger knows nothing."""
    kitchen.status()
    kitchen.status(last_seq=3, receipted_seq=3)
    return kitchen


def test_a_dispenser_that_is_ahead_is_asked_from_the_first_lost_number_on(ahead: Any) -> None:
    assert ahead.ask() == [("mix-1", 1)]
    assert ahead.ask(after_ms=RESEND_REPEAT_MS - 1) == []
    assert ahead.ask() == [("mix-1", 1)]
    ahead.status(online=False)
    assert ahead.ask(after_ms=RESEND_REPEAT_MS) == []


def test_nothing_is_offered_until_the_reports_are_here_and_then_above_their_numbers(ahead: Any) -> None:
    job = ahead.place((1, 100))
    assert ahead.due() == []
    ahead.ask()
    for seq in (1, 2, 3):
        assert ahead.due() == []
        ahead.report_lost(seq)
    assert ahead.ask(after_ms=RESEND_REPEAT_MS) == []
    (offer,) = ahead.due()
    assert isinstance(offer.message, OfferJob)
    assert (offer.message.job, offer.message.seq) == (job.job, 4)


def test_a_job_ordered_after_the_backup_is_recreated_with_its_debit(ahead: Any) -> None:
    ahead.report_lost(2, "late", amount_mg=700)
    job = ahead.job("late")
    assert (job.state, job.seq, job.placed_by, job.items[0].dispensed_mg) == ("done", 2, "restored", 700)
    assert (ahead.flask(1)["stock_mg"], ahead.flask(1)["reserved_mg"]) == (999_300, 0)
    assert ahead.flips("late")[:1] == [(-1, None, "queued")]
    ahead.report_lost(2, "late", amount_mg=700)
    assert ahead.flask(1)["stock_mg"] == 999_300


def test_a_job_that_the_backup_shows_as_queued_takes_its_number_and_does_not_run_again(ahead: Any) -> None:
    job = ahead.place((1, 10))
    ahead.ask()
    ahead.report_lost(1)
    ahead.report_lost(2, job.job)
    ahead.report_lost(3)
    ahead.ask(after_ms=RESEND_REPEAT_MS)
    assert ahead.due() == []
    assert (ahead.job(job.job).state, ahead.job(job.job).seq) == ("done", 2)


def test_what_waited_while_numbers_stay_lost_is_in_doubt_and_never_offered(ahead: Any) -> None:
    job = ahead.place((1, 100))
    give_up(ahead)
    ended = ahead.job(job.job)
    assert (ended.state, ended.items[0].state) == ("failed", "in_doubt")
    assert ahead.flask(1)["reserved_mg"] == 0
    assert ahead.due() == []
    later = ahead.place((1, 100))
    (offer,) = ahead.due()
    assert offer.message.job == later.job


def test_a_report_that_comes_after_all_clears_the_doubt(ahead: Any) -> None:
    job = ahead.place((1, 10))
    give_up(ahead)
    ahead.report_lost(3, job.job)
    assert ahead.job(job.job).state == "done"
    assert ahead.flask(1)["stock_mg"] == 999_990


def test_more_lost_jobs_than_a_dispenser_keeps_are_not_waited_for(kitchen: Any) -> None:
    kitchen.status()
    job = kitchen.place((1, 100))
    kitchen.status(last_seq=20, receipted_seq=20)
    assert kitchen.ask() == [("mix-1", 1)]
    for seq in range(13, 21):
        kitchen.report_lost(seq)
    assert kitchen.ask(after_ms=RESEND_REPEAT_MS) == []
    assert kitchen.job(job.job).items[0].state == "in_doubt"


def test_a_job_in_hand_is_waited_for(kitchen: Any) -> None:
    kitchen.status()
    kitchen.status(job="lost-1", last_seq=1)
    kitchen.ask()
    for _ in range(2 * RESEND_TRIES):
        assert kitchen.ask(after_ms=RESEND_REPEAT_MS) == []
    assert device(kitchen)["resend_left"] > 0
    kitchen.report_lost(1)
    kitchen.status(last_seq=1, receipted_seq=1)
    kitchen.ask(after_ms=RESEND_REPEAT_MS)
    assert device(kitchen)["resend_left"] == 0


def test_a_running_job_whose_report_was_receipted_after_the_backup_is_asked_for(kitchen: Any) -> None:
    job = kitchen.place((1, 10))
    kitchen.status()
    kitchen.due()
    kitchen.accept(job.job)
    assert kitchen.ask() == []
    kitchen.status(last_seq=1, receipted_seq=1)
    assert kitchen.ask() == [("mix-1", 1)]
    kitchen.report_lost(1, job.job)
    assert kitchen.ask(after_ms=RESEND_REPEAT_MS) == []
    assert kitchen.job(job.job).state == "done"


def test_a_number_that_was_given_again_belongs_to_the_job_that_the_dispenser_used_it_for(kitchen: Any) -> None:
    job = kitchen.place((1, 100))
    kitchen.status()
    kitchen.due()
    kitchen.status(last_seq=1, receipted_seq=1)
    kitchen.ask()
    kitchen.report_lost(1, "before")
    assert (kitchen.job("before").state, kitchen.job("before").seq) == ("done", 1)
    kitchen.ask(after_ms=RESEND_REPEAT_MS)
    (offer,) = kitchen.due()
    assert (offer.message.job, offer.message.seq) == (job.job, 2)


@pytest.mark.parametrize("seq", [4, 9])
def test_an_unknown_job_under_any_other_number_is_a_dead_letter(ahead: Any, seq: int) -> None:
    with pytest.raises(AssertionError):
        ahead.report_lost(seq)
    assert letters(ahead) == ["unknown_job"]


def test_an_unknown_job_of_another_flash_store_or_flask_is_a_dead_letter(ahead: Any) -> None:
    for old, new in ((b'"aaaaaaaa"', b'"cccccccc"'), (b'"flask":1', b'"flask":9')):
        payload = codec.encode(lost(ahead)).replace(old, new)
        with ahead.database.write() as tx:
            settle(tx, [Incoming(topics.COMPLETION.topic("mix-1"), payload)], ahead.now_ms)
    assert letters(ahead) == ["unknown_job", "unknown_job"]


def lost(kitchen: Any) -> Any:
    """The report of job `lost-1` as it is sent."""
    sent: list[Any] = []
    original = kitchen.settle
    kitchen.settle = lambda *batch: sent.extend(batch)
    kitchen.report_lost(1)
    kitchen.settle = original
    return codec.decode(topics.COMPLETION.record, sent[0].payload)


def test_a_dispenser_that_was_never_met_brings_no_reports_of_its_life_before(kitchen: Any) -> None:
    job = kitchen.place((1, 100))
    kitchen.status(last_seq=7, receipted_seq=7)
    assert kitchen.ask() == []
    (offer,) = kitchen.due()
    assert (offer.message.job, offer.message.seq) == (job.job, 8)
    with pytest.raises(AssertionError):
        kitchen.report_lost(7)
    assert letters(kitchen) == ["unknown_job"]


def test_a_replaced_flash_store_leaves_what_waited_in_doubt(ahead: Any) -> None:
    job = ahead.place((1, 100))
    ahead.status(epoch="bbbbbbbb", connection=1)
    assert ahead.due() == []
    assert ahead.ask() == []
    assert device(ahead)["resend_left"] == 0
    assert ahead.job(job.job).items[0].state == "in_doubt"
    later = ahead.place((1, 100))
    (offer,) = ahead.due()
    assert (offer.message.job, offer.message.epoch) == (later.job, "bbbbbbbb")


def test_a_report_that_comes_before_the_first_status_of_its_flash_store_does_not_keep_the_others_away(
    kitchen: Any,
) -> None:
    kitchen.status(epoch="00000000")
    first, second = kitchen.place((1, 10)), kitchen.place((1, 20))
    # The backup is from here. Then the flash was erased, and both jobs ran under the new store.
    kitchen.report_lost(2, second.job, amount_mg=20)
    kitchen.status(last_seq=2, receipted_seq=2)
    assert kitchen.due() == []
    assert kitchen.ask() == [("mix-1", 1)]
    kitchen.report_lost(1, first.job)
    assert kitchen.ask(after_ms=RESEND_REPEAT_MS) == []
    assert [kitchen.job(job.job).state for job in (first, second)] == ["done", "done"]
    assert kitchen.flask(1)["stock_mg"] == 999_970


def reported(item: int, flask: int, target_mg: int, dispensed_mg: int) -> ItemReport:
    state, error = ("done", None) if dispensed_mg else ("failed", "jammed")
    given = {"target_mg": target_mg, "dispensed_mg": dispensed_mg, "duration_ms": 1}
    return ItemReport(item=item, flask=flask, state=state, error=error, **given)


@pytest.mark.parametrize(("dispensed_mg", "is_offered"), [(10, False), (0, True)])
def test_a_retry_of_what_was_dispensed_after_all_is_never_offered(
    kitchen: Any, dispensed_mg: int, is_offered: bool
) -> None:
    kitchen.status()
    job = kitchen.place((1, 10), (2, 5))
    # The backup is from here: the dispenser ran the job, and the ledger does not know.
    kitchen.cancel(job.job)
    retried = kitchen.retry(job.job)
    kitchen.status(last_seq=1, receipted_seq=1)
    assert kitchen.ask() == [("mix-1", 1)]
    items = (reported(0, 1, 10, dispensed_mg), reported(1, 2, 5, 0))
    state = "done_partial" if dispensed_mg else "failed"
    done = JobCompleted(job=job.job, seq=1, state=state, items=items, epoch="aaaaaaaa", boot=1, ms=1)
    kitchen.settle(Incoming(topics.COMPLETION.topic("mix-1"), codec.encode(done)))
    assert kitchen.ask(after_ms=RESEND_REPEAT_MS) == []
    assert [one.message.job for one in kitchen.due()] == ([retried.job] if is_offered else [])
    assert kitchen.job(retried.job).state == ("offered" if is_offered else "cancelled")
    if not is_offered:
        again = kitchen.retry(job.job)
        assert [(item.flask, item.target_mg) for item in again.items] == [(2, 5)]


def test_nor_is_one_that_was_offered_under_the_number_of_what_was_dispensed(kitchen: Any) -> None:
    kitchen.status()
    job = kitchen.place((1, 10), (2, 5))
    # The backup is from here: the dispenser ran the job as its first, and the ledger does not know.
    kitchen.cancel(job.job)
    retried = kitchen.retry(job.job)
    (offer,) = kitchen.due()
    assert (offer.message.job, offer.message.seq) == (retried.job, 1)
    kitchen.status(last_seq=1, receipted_seq=1)
    assert kitchen.ask() == [("mix-1", 1)]
    items = (reported(0, 1, 10, 10), reported(1, 2, 5, 0))
    done = JobCompleted(job=job.job, seq=1, state="done_partial", items=items, epoch="aaaaaaaa", boot=1, ms=1)
    kitchen.settle(Incoming(topics.COMPLETION.topic("mix-1"), codec.encode(done)))
    assert kitchen.ask(after_ms=RESEND_REPEAT_MS) == []
    assert kitchen.job(retried.job).seq is None
    assert kitchen.due() == []
    assert kitchen.job(retried.job).state == "failed"
    assert [item.state for item in kitchen.job(retried.job).items] == ["skipped", "skipped"]
    assert [kitchen.flask(number)["reserved_mg"] for number in (1, 2)] == [0, 0]
    again = kitchen.retry(job.job)
    assert [(item.flask, item.target_mg) for item in again.items] == [(2, 5)]
