"""Offers, cancellations, receipts and the rest, each answered as the protocol says."""

import pytest

from firmware.core.ports import Disconnect, Save
from protocol import codec, topics
from protocol.messages import CancelJob, ConfigureDispenser, JobAccepted, ResendCompletions, StatusReported
from tests.firmware.bench import Bench, flask, online_bench
from tests.firmware.broker import DEVICE


def answers(bench: Bench) -> list[tuple[int, str | None]]:
    return [(one.record.seq, one.record.refusal) for one in bench.sent("accept") if isinstance(one.record, JobAccepted)]


def answered(bench: Bench, count: int = 1) -> list[tuple[int, str | None]]:
    bench.run(lambda: len(answers(bench)) >= count)
    return answers(bench)


def ended(bench: Bench, seq: int) -> None:
    bench.run(lambda: bench.completion(seq) is not None)


def receipted(bench: Bench, seq: int) -> None:
    bench.run(lambda: bench.status().receipted_seq == seq)


def test_an_offer_is_acknowledged_only_after_it_is_in_flash(bench: Bench) -> None:
    acknowledged_at_save: list[int] = []
    before = len(bench.broker.acknowledged)
    bench.before_order = lambda order: (
        acknowledged_at_save.append(len(bench.broker.acknowledged)) if isinstance(order, Save) else None
    )
    bench.offer(1, (1, 300))
    bench.offer(1, (1, 300))
    assert answered(bench) == [(1, None)]
    assert acknowledged_at_save[0] == before
    assert len(bench.broker.acknowledged) == before + 2


def test_an_offer_of_another_epoch_is_refused(bench: Bench) -> None:
    bench.offer(1, (1, 300), epoch="0123456789abcdef")
    assert answered(bench) == [(1, "wrong_epoch")]
    assert bench.openings == []


def test_the_job_in_hand_is_accepted_again_and_another_is_refused_as_busy(bench: Bench) -> None:
    bench.offer(1, (1, 5000))
    answered(bench)
    bench.offer(1, (1, 5000))
    answered(bench, 2)
    bench.offer(2, (1, 300))
    assert answered(bench, 3) == [(1, None), (1, None), (2, "busy")]
    ended(bench, 1)
    assert len(bench.openings) == 1


def test_a_job_that_ended_is_answered_with_its_completion(bench: Bench) -> None:
    bench.offer(1, (1, 300))
    receipted(bench, 1)
    before = len(bench.completions())
    bench.offer(1, (1, 300))
    bench.run(lambda: len(bench.completions()) > before)
    assert len(bench.openings) == 1
    assert bench.completions()[-1] == bench.completions()[0]


def test_a_used_number_is_stale_for_another_job(bench: Bench) -> None:
    bench.offer(5, (1, 300))
    receipted(bench, 5)
    bench.offer(5, (1, 300), job="other")
    bench.run(lambda: len(answers(bench)) == 2)
    bench.offer(4, (1, 300))
    assert answered(bench, 3)[1:] == [(5, "stale_seq"), (4, "stale_seq")]


def test_a_job_that_ended_is_not_run_again_under_another_number(bench: Bench) -> None:
    bench.offer(5, (1, 300), job="once")
    receipted(bench, 5)
    before = len(bench.completions())
    bench.offer(6, (1, 300), job="once")
    assert answered(bench, 2) == [(5, None), (6, "stale_seq")]
    bench.run(lambda: len(bench.completions()) > before)
    assert bench.completions()[-1].seq == 5
    assert len(bench.openings) == 1
    bench.offer(6, (1, 300), job="another")
    assert answered(bench, 3)[2] == (6, None)


def test_the_same_number_for_another_job_in_hand_is_stale(bench: Bench) -> None:
    bench.offer(1, (1, 5000))
    answered(bench)
    bench.offer(1, (1, 5000), job="other")
    assert answered(bench, 2)[1] == (1, "stale_seq")


def test_eight_completions_without_a_receipt_are_enough(bench: Bench) -> None:
    bench.receipts = False
    for seq in range(1, 9):
        bench.offer(seq, (1, 10))
        ended(bench, seq)
    bench.offer(9, (1, 10))
    assert answered(bench, 9)[-1] == (9, "busy")
    bench.receipt(4)
    bench.run(limit_ms=500)
    bench.offer(9, (1, 10))
    ended(bench, 9)
    receipts = {one.seq for one in bench.completions()}
    assert receipts == set(range(1, 10))


@pytest.mark.parametrize(
    "payload",
    [
        b'{"job":"j","seq":3,"epoch":"x","items":[]}',
        b'{"job":"j","seq":3}',
        b'{"job":"j","seq":3,"epoch":"00000000","items":[{"flask":1,"target_mg":1.5}]}',
    ],
)
def test_a_malformed_offer_is_refused_where_it_says_which_job(bench: Bench, payload: bytes) -> None:
    bench.deliver("offer", payload)
    assert answered(bench) == [(3, "invalid")]


@pytest.mark.parametrize("payload", [b"", b"[1]", b'{"job":"j"}', b'{"job":"j","seq":true}', b"\xff", b"[" * 4000])
def test_an_offer_that_names_no_job_is_acknowledged_and_forgotten(bench: Bench, payload: bytes) -> None:
    before = len(bench.broker.acknowledged)
    bench.deliver("offer", payload)
    bench.run(lambda: len(bench.broker.acknowledged) == before + 1)
    assert answers(bench) == []


def test_an_offer_that_cannot_be_saved_is_refused_and_may_come_again(bench: Bench) -> None:
    bench.save_ok = lambda _slot: False
    bench.offer(1, (1, 300))
    assert answered(bench) == [(1, "flash_full")]
    bench.run(lambda: bench.status().fault == "flash_full")
    bench.offer(1, (1, 300))
    assert answered(bench, 2)[1] == (1, "flash_full")
    bench.save_ok = lambda _slot: True
    bench.run(lambda: bench.status().fault is None)
    assert bench.status().last_seq == 0
    bench.offer(1, (1, 300))
    ended(bench, 1)
    assert len(bench.openings) == 1


def test_a_cancelled_job_stops(bench: Bench) -> None:
    bench.offer(1, (1, 5000), (2, 300))
    bench.run(lambda: len(bench.openings) == 1)
    bench.run(limit_ms=500)
    bench.cancel(1)
    bench.cancel(1)
    ended(bench, 1)
    done = bench.completion(1)
    assert done is not None
    assert [one.state for one in done.items] == ["failed", "skipped"]
    assert done.items[0].dispensed_mg == bench.openings[0].open_ms < 600


def test_a_cancellation_that_overtakes_its_offer_uses_the_number_up(bench: Bench) -> None:
    bench.cancel(3)
    receipted(bench, 3)
    done = bench.completion(3)
    assert done is not None
    assert (done.state, done.items) == ("cancelled", ())
    bench.offer(3, (1, 300))
    bench.run(lambda: len(bench.completions()) == 2)
    bench.offer(2, (1, 300))
    assert answered(bench) == [(2, "stale_seq")]
    assert bench.openings == []


def test_a_cancellation_beside_a_running_job_leaves_that_alone_and_the_highest_number_retained(bench: Bench) -> None:
    bench.receipts = False
    bench.offer(1, (1, 300), (2, 2000))
    bench.run(lambda: len(bench.openings) == 1)
    bench.cancel(2)
    ended(bench, 1)
    ended(bench, 2)
    bench.run(limit_ms=1000)
    retained = bench.broker.retained[topics.COMPLETION.topic(DEVICE)]
    assert b'"seq":2' in retained
    assert len(bench.openings) == 2


def test_a_cancellation_of_an_ended_job_gets_its_completion_and_of_an_old_unknown_one_a_refusal(bench: Bench) -> None:
    bench.offer(5, (1, 300))
    receipted(bench, 5)
    bench.cancel(5)
    bench.run(lambda: len(bench.completions()) == 2)
    before = len(answers(bench))
    bench.cancel(2)
    assert answered(bench, before + 1)[before:] == [(2, "stale_seq")]
    assert len(bench.completions()) == 2


def test_a_cancellation_or_receipt_of_another_epoch_is_ignored(bench: Bench) -> None:
    bench.receipts = False
    bench.offer(1, (1, 300))
    ended(bench, 1)
    bench.receipt(1, epoch="0123456789abcdef")
    bench.receipt(1, job="other")
    bench.deliver("cancel", b'{"job":"job-2","seq":2,"epoch":"0123456789abcdef"}')
    bench.run(limit_ms=1000)
    assert bench.status().receipted_seq == 0
    assert bench.status().last_seq == 1
    bench.receipt(1)
    receipted(bench, 1)


def test_a_completion_is_repeated_every_30_s_until_its_receipt(bench: Bench) -> None:
    bench.receipts = False
    bench.offer(1, (1, 300))
    ended(bench, 1)
    bench.run(limit_ms=95_000)
    assert len(bench.completions()) == 4
    bench.receipt(1)
    bench.run(limit_ms=95_000)
    assert len(bench.completions()) == 4


def test_all_unreceipted_completions_come_again_at_a_connect_newest_last(bench: Bench) -> None:
    bench.receipts = False
    for seq in (1, 2, 3):
        bench.offer(seq, (1, 10))
        ended(bench, seq)
    bench.receipt(3)
    bench.receipt(2)
    bench.run(limit_ms=500)
    before = len(bench.completions())
    bench.drop_link()
    bench.online()
    bench.run(limit_ms=500)
    assert [one.seq for one in bench.completions()[before:]] == [1, 3]


def test_completions_are_sent_again_for_a_restored_server(bench: Bench) -> None:
    for seq in (1, 2, 3):
        bench.offer(seq, (1, 10))
        receipted(bench, seq)
    bench.receipts = False
    before = len(bench.completions())
    bench.deliver("resend", ResendCompletions(from_seq=2))
    bench.run(lambda: len(bench.completions()) == before + 2)
    assert [one.seq for one in bench.completions()[before:]] == [2, 3]
    bench.run(lambda: bench.status().receipted_seq == 1)


def test_a_resend_of_all_eight_during_a_job_loses_none_of_the_nine(bench: Bench) -> None:
    for seq in range(1, 9):
        bench.offer(seq, (1, 10))
        receipted(bench, seq)
    bench.offer(9, (1, 2000))
    bench.run(lambda: len(bench.openings) == 9)
    bench.receipts = False
    bench.deliver("resend", ResendCompletions(from_seq=1))
    bench.run(limit_ms=20_000)
    assert bench.completion(9) is None
    assert bench.status().job == "job-9"
    bench.receipts = True
    receipted(bench, 9)


def test_the_configuration_changes_after_the_job_and_old_versions_are_ignored(bench: Bench) -> None:
    bench.offer(1, (1, 2000), (2, 300))
    bench.run(lambda: len(bench.openings) == 1)
    bench.configure(flask(1), version=4)
    ended(bench, 1)
    assert [one.flask for one in bench.openings] == [1, 2]
    bench.run(lambda: bench.status().config_version == 4)
    bench.configure(flask(2), version=3)
    bench.run(limit_ms=1000)
    assert bench.status().config_version == 4
    bench.deliver("config", codec.encode(ConfigureDispenser(version=5, flasks=())).replace(b"5", b"-5"))
    bench.run(limit_ms=1000)
    assert bench.status().config_version == 4


def test_seeing_itself_offline_it_reports_again_and_renews_its_last_will(bench: Bench) -> None:
    topic, will = bench.will()
    before = len(bench.sent("status"))
    bench.to_device(bench.broker.message(topic, will))
    bench.run(lambda: len(bench.sent("status")) > before)
    assert bench.status().connection == 2
    bench.run(lambda: bench.broker.will is None)
    goodbye = codec.decode(StatusReported, bench.broker.retained[topic])
    assert (goodbye.online, goodbye.connection) == (False, 2)
    bench.run(lambda: bench.broker.connects == 2)
    bench.online()
    assert bench.status().connection == 3
    new_will = codec.decode(StatusReported, bench.will()[1])
    assert (new_will.online, new_will.connection) == (False, 3)


def test_a_last_will_of_an_earlier_connection_is_covered_by_the_present_status() -> None:
    bench = online_bench()
    topic, will = bench.will()
    bench.drop_link()
    bench.run(lambda: bench.broker.connects == 2)
    bench.online()
    bench.run(limit_ms=1000)
    before = bench.sent("status")
    bench.broker.retained[topic] = will
    bench.to_device(bench.broker.message(topic, will))
    bench.run(limit_ms=5000)
    assert len(bench.sent("status")) == len(before) + 1
    assert bench.broker.retained[topic] == codec.encode(bench.status())
    assert bench.status().connection == 2
    assert len(bench.ordered(Disconnect)) == 0


def test_a_last_will_that_is_retained_at_a_connect_costs_no_second_status() -> None:
    bench = online_bench()
    bench.drop_link()
    bench.run(lambda: bench.broker.connects == 2)
    before = len(bench.sent("status"))
    bench.online()
    bench.run(limit_ms=5000)
    assert len(bench.sent("status")) == before + 1


def test_a_message_for_another_dispenser_is_not_ours(bench: Bench) -> None:
    cancel = codec.encode(CancelJob(job="a", seq=9, epoch=bench.epoch))
    bench.to_device(bench.broker.message("pitada/v1/other/job/cancel", cancel))
    bench.run(limit_ms=1000)
    assert bench.status().last_seq == 0
