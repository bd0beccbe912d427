"""What dispatch must send now: once, in order, to those who listen, until the dispenser's own word."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from protocol.messages import CancelJob, ConfigureDispenser, OfferedItem, OfferJob
from protocol.topics import CANCEL, CONFIG, OFFER
from services.devices import FlaskChange, configure
from services.ledger import outbox
from services.ledger.outbox import Due, due
from services.ledger.work import OFFER_REPEAT_MS
from services.orders import NothingToRetry

EPOCH = "aaaaaaaa"


def offer(job: Any, seq: int, epoch: str = EPOCH) -> Due:
    items = tuple(OfferedItem(flask=item.flask, target_mg=item.target_mg) for item in job.items)
    return Due(job.device, OFFER, OfferJob(job=job.job, seq=seq, epoch=epoch, items=items))


def stop(job: Any, seq: int) -> Due:
    return Due(job.device, CANCEL, CancelJob(job=job.job, seq=seq, epoch=EPOCH))


def test_the_oldest_job_is_offered_once_its_dispenser_is_online(kitchen: Any) -> None:
    first = kitchen.place((1, 100), (2, 50))
    kitchen.now_ms += 1
    kitchen.place((1, 200))
    assert kitchen.due() == []
    kitchen.status()
    assert kitchen.due() == [offer(first, 1)]
    offered = kitchen.job(first.job)
    assert (offered.state, offered.seq) == ("offered", 1)
    assert kitchen.flips(first.job) == [(-1, None, "queued"), (-1, "queued", "offered")]


def test_an_offer_is_repeated_until_it_is_accepted(kitchen: Any) -> None:
    job = kitchen.place((1, 100))
    kitchen.status()
    assert kitchen.due() == [offer(job, 1)]
    assert kitchen.due(after_ms=OFFER_REPEAT_MS - 1) == []
    assert kitchen.due(after_ms=1) == [offer(job, 1)]
    assert kitchen.due(after_ms=OFFER_REPEAT_MS) == [offer(job, 1)]
    kitchen.accept(job.job)
    kitchen.status(job=job.job, last_seq=1)
    assert kitchen.due(after_ms=OFFER_REPEAT_MS) == []
    assert len(kitchen.flips(job.job)) == 3


def test_a_dispenser_that_is_back_gets_its_offer_at_once(kitchen: Any) -> None:
    job = kitchen.place((1, 100))
    kitchen.status()
    kitchen.due()
    kitchen.status(online=False)
    assert kitchen.due(after_ms=OFFER_REPEAT_MS) == []
    kitchen.status(connection=2)
    assert kitchen.due() == [offer(job, 1)]
    assert kitchen.due() == []
    kitchen.status(boot=2, connection=2)
    assert kitchen.due() == [offer(job, 1)]


def test_a_dispenser_has_one_job_at_a_time(kitchen: Any) -> None:
    first = kitchen.place((1, 100))
    second = kitchen.place((1, 200))
    kitchen.status()
    kitchen.due()
    kitchen.accept(first.job)
    kitchen.status(job=first.job, last_seq=1)
    assert kitchen.due(after_ms=OFFER_REPEAT_MS) == []
    kitchen.complete(first.job, ("done", 100))
    assert kitchen.due() == [], "its status still has the job in hand"
    kitchen.status(last_seq=1)
    assert kitchen.due() == [offer(second, 2)]


def test_a_dispenser_with_a_fault_is_offered_nothing(kitchen: Any) -> None:
    job = kitchen.place((1, 100))
    kitchen.status(fault="flash_full")
    assert kitchen.due() == []
    kitchen.status()
    assert kitchen.due() == [offer(job, 1)]
    kitchen.status(fault="servo_fault")
    assert kitchen.due(after_ms=OFFER_REPEAT_MS) == []


def test_a_job_number_is_above_every_one_given_or_seen(kitchen: Any) -> None:
    first = kitchen.place((1, 100))
    kitchen.status(last_seq=7)
    assert kitchen.due() == [offer(first, 8)]
    kitchen.accept(first.job)
    kitchen.complete(first.job, ("done", 100))
    second = kitchen.place((1, 100))
    kitchen.status(last_seq=7)
    assert kitchen.due() == [offer(second, 9)], "8 was given, though the dispenser does not report it yet"


def test_a_number_that_was_used_up_is_replaced_once_its_report_is_here(kitchen: Any) -> None:
    job = kitchen.place((1, 100))
    kitchen.status()
    kitchen.due()
    kitchen.accept(job.job, refusal="stale_seq")
    kitchen.status(last_seq=2)
    assert kitchen.due() == []
    kitchen.report_lost(1)
    kitchen.report_lost(2)
    assert kitchen.ask() == []
    assert kitchen.due() == [offer(job, 3)]
    assert kitchen.job(job.job).state == "offered"


def test_a_cancel_is_repeated_until_the_job_ends_and_its_offer_is_not(kitchen: Any) -> None:
    job = kitchen.place((1, 100))
    kitchen.status()
    kitchen.due()
    kitchen.cancel(job.job)
    assert kitchen.due() == [stop(job, 1)]
    assert kitchen.due(after_ms=OFFER_REPEAT_MS - 1) == []
    assert kitchen.due(after_ms=1) == [stop(job, 1)]
    kitchen.status(online=False)
    assert kitchen.due(after_ms=OFFER_REPEAT_MS) == []
    kitchen.status(connection=2)
    assert kitchen.due() == [stop(job, 1)]
    kitchen.complete(job.job)
    assert kitchen.due(after_ms=OFFER_REPEAT_MS) == []
    assert kitchen.job(job.job).state == "cancelled"


def test_a_running_job_is_cancelled_too_even_with_a_fault(kitchen: Any) -> None:
    job = kitchen.place((1, 100))
    kitchen.status()
    kitchen.due()
    kitchen.accept(job.job)
    kitchen.cancel(job.job)
    kitchen.status(job=job.job, fault="servo_fault")
    assert kitchen.due() == [stop(job, 1)]


def test_a_cancel_of_a_job_whose_number_was_used_up_goes_under_a_new_one(kitchen: Any) -> None:
    job = kitchen.place((1, 100))
    kitchen.status()
    kitchen.due()
    kitchen.accept(job.job, refusal="stale_seq")
    kitchen.cancel(job.job)
    kitchen.status(last_seq=1)
    kitchen.report_lost(1)
    kitchen.ask()
    assert kitchen.due() == [stop(job, 2)]
    kitchen.complete(job.job)
    assert kitchen.job(job.job).state == "cancelled"


@pytest.mark.parametrize("offered", [False, True])
def test_a_job_whose_time_is_up_expires_and_frees_its_stock(kitchen: Any, offered: bool) -> None:
    job = kitchen.place((1, 100), (1, 50), expires_at_ms=kitchen.now_ms + 100)
    kitchen.status(online=offered)
    kitchen.due(after_ms=90)
    assert kitchen.job(job.job).state == ("offered" if offered else "queued")
    kitchen.status(online=False)
    kitchen.due(after_ms=10)
    ended = kitchen.job(job.job)
    assert (ended.state, ended.ended_at_ms) == ("expired", kitchen.now_ms)
    assert [item.state for item in ended.items] == ["skipped", "skipped"]
    assert kitchen.flask(1)["reserved_mg"] == 0
    assert kitchen.flips(job.job)[-3:] == [
        (-1, "offered" if offered else "queued", "expired"),
        (0, "pending", "skipped"),
        (1, "pending", "skipped"),
    ]


def test_a_running_job_does_not_expire(kitchen: Any) -> None:
    job = kitchen.place((1, 100), expires_at_ms=kitchen.now_ms + 100)
    kitchen.status()
    kitchen.due()
    kitchen.accept(job.job)
    kitchen.due(after_ms=100)
    assert kitchen.job(job.job).state == "running"


def test_an_expired_job_gives_way_to_the_next_in_the_same_call(kitchen: Any) -> None:
    kitchen.place((1, 100), expires_at_ms=kitchen.now_ms + 5)
    second = kitchen.place((2, 100))
    kitchen.now_ms += 10
    kitchen.status()
    assert kitchen.due() == [offer(second, 1)]


def test_a_job_that_expired_after_its_offer_is_called_back_until_the_dispenser_answers(kitchen: Any) -> None:
    job = kitchen.place((1, 100), expires_at_ms=kitchen.now_ms + 10)
    kitchen.status()
    kitchen.due()
    assert kitchen.due(after_ms=10) == [stop(job, 1)]
    assert kitchen.due(after_ms=OFFER_REPEAT_MS) == [stop(job, 1)]
    with pytest.raises(NothingToRetry):
        kitchen.retry(job.job)
    kitchen.complete(job.job)
    assert kitchen.due(after_ms=OFFER_REPEAT_MS) == []
    assert kitchen.retry(job.job).items[0].target_mg == 100


def test_a_job_that_expired_after_its_offer_is_called_back_while_one_of_its_items_may_have_run(kitchen: Any) -> None:
    job = kitchen.place((1, 100), (2, 50), expires_at_ms=kitchen.now_ms + 10)
    kitchen.status()
    kitchen.due()
    assert kitchen.due(after_ms=10) == [stop(job, 1)]
    # The newest progress of one flask is retained and comes late; what the other one did is still unknown.
    kitchen.progress(job.job, 1, "done")
    told = kitchen.job(job.job)
    assert (told.state, [item.state for item in told.items]) == ("expired", ["skipped", "done"])
    assert kitchen.due(after_ms=OFFER_REPEAT_MS) == [stop(job, 1)]
    with pytest.raises(NothingToRetry):
        kitchen.retry(job.job)
    kitchen.status(connection=2, last_seq=2, receipted_seq=2)
    told = kitchen.job(job.job)
    assert (told.state, [item.state for item in told.items]) == ("done_partial", ["in_doubt", "done"])
    assert kitchen.due(after_ms=OFFER_REPEAT_MS) == []


def test_a_job_that_expired_is_called_back_no_more_once_its_dispenser_went_on_without_it(kitchen: Any) -> None:
    job = kitchen.place((1, 100), expires_at_ms=kitchen.now_ms + 10)
    kitchen.status()
    kitchen.due()
    assert kitchen.due(after_ms=10) == [stop(job, 1)]
    kitchen.status(last_seq=2, receipted_seq=1)
    told = kitchen.job(job.job)
    assert (told.state, [item.state for item in told.items]) == ("expired", ["in_doubt"])
    assert kitchen.due(after_ms=OFFER_REPEAT_MS) == []


def test_a_job_that_a_dispenser_lost_with_a_generation_of_its_flash_is_offered_again_under_its_number(
    kitchen: Any,
) -> None:
    job = kitchen.place((1, 100))
    kitchen.status()
    kitchen.due()
    kitchen.accept(job.job)
    kitchen.status(job=job.job, last_seq=1)
    # It boots from the generation before.
    kitchen.status(boot=2)
    assert kitchen.due() == [offer(job, 1)]
    kitchen.accept(job.job)
    kitchen.status(boot=2, job=job.job, last_seq=1)
    assert kitchen.due(after_ms=OFFER_REPEAT_MS) == []
    kitchen.complete(job.job, ("done", 100))
    assert kitchen.job(job.job).state == "done"


def test_a_job_of_which_a_flask_was_opened_is_never_offered_again(kitchen: Any) -> None:
    job = kitchen.place((1, 100), (2, 100))
    kitchen.status()
    kitchen.due()
    kitchen.accept(job.job)
    kitchen.progress(job.job, 0, "dispensing")
    kitchen.status(boot=2)
    assert kitchen.due(after_ms=OFFER_REPEAT_MS) == []


def test_a_dispenser_that_lost_its_configuration_gets_it_again_whatever_the_broker_kept(kitchen: Any) -> None:
    kitchen.status(config_version=1)
    assert kitchen.due() == []
    kitchen.status(boot=2, config_version=0)
    (sent,) = kitchen.due()
    assert (sent.channel, sent.message.version) == (CONFIG, 1)
    kitchen.place((1, 100))
    assert [one.channel for one in kitchen.due(after_ms=OFFER_REPEAT_MS)] == [CONFIG]
    kitchen.status(boot=2, config_version=1)
    assert [one.channel for one in kitchen.due()] == [OFFER]


def test_a_new_configuration_goes_out_before_any_job_until_it_is_confirmed(kitchen: Any) -> None:
    job = kitchen.place((1, 100))
    kitchen.status(config_version=0)
    (sent,) = kitchen.due()
    assert (sent.device, sent.channel) == ("mix-1", CONFIG)
    assert isinstance(sent.message, ConfigureDispenser)
    assert sent.message.version == 1
    assert [(flask.flask, flask.flow_mg_per_s, flask.channel) for flask in sent.message.flasks] == [
        (1, 10_000, 0),
        (2, 10_000, 1),
        (3, 10_000, 2),
    ]
    assert kitchen.due(after_ms=OFFER_REPEAT_MS - 1) == []
    assert kitchen.due(after_ms=1) == [sent]
    kitchen.status(config_version=0, connection=2)
    assert kitchen.due() == [sent]
    kitchen.status(config_version=1, connection=2)
    assert kitchen.due() == [offer(job, 1)]


def test_a_changed_configuration_is_sent_at_once_and_holds_the_offer_back(kitchen: Any) -> None:
    kitchen.status(config_version=0)
    kitchen.due()
    kitchen.status(config_version=1)
    assert configure(kitchen.database, "mix-1", [FlaskChange(2, flow_mg_per_s=5_000)]) == 2
    kitchen.place((1, 100))
    (sent,) = kitchen.due()
    assert sent.channel is CONFIG
    assert isinstance(sent.message, ConfigureDispenser)
    assert (sent.message.version, sent.message.flasks[1].flow_mg_per_s) == (2, 5_000)


def test_nothing_is_sent_to_a_replaced_flash_store_that_was_meant_for_the_old_one(kitchen: Any) -> None:
    job = kitchen.place((1, 100))
    kitchen.status()
    kitchen.due()
    kitchen.cancel(job.job)
    kitchen.status(epoch="bbbbbbbb", config_version=1)
    assert kitchen.due(after_ms=OFFER_REPEAT_MS) == []
    assert kitchen.job(job.job).state == "failed"
    second = kitchen.place((2, 100))
    assert kitchen.due() == [offer(second, 2, "bbbbbbbb")]


def test_two_dispatchers_at_once_send_each_message_once(kitchen: Any) -> None:
    devices = [f"unit-{number:02}" for number in range(20)]
    for device in devices:
        kitchen.claim(device)
        kitchen.place((1, 100), device=device)
        kitchen.status(device)

    def dispatch(_: int) -> list[Due]:
        with kitchen.database.write() as tx:
            return due(tx, kitchen.now_ms)

    with ThreadPoolExecutor(4) as pool:
        sent = [message for batch in pool.map(dispatch, range(4)) for message in batch]
    assert sorted(message.device for message in sent) == devices
    kitchen.audit()


def test_a_call_that_is_full_leaves_the_rest_for_the_next(kitchen: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "DEVICES_PER_CALL", 2)
    devices = ["unit-1", "unit-2", "unit-3"]
    for device in devices:
        kitchen.claim(device)
        kitchen.place((1, 100), device=device)
        kitchen.status(device)
    batches = [[message.device for message in kitchen.due()] for _ in range(3)]
    assert batches == [devices[:2], devices[2:], []]
