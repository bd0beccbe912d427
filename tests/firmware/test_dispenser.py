"""The whole dispenser: the order of things, and what never happens at the same time."""

import pytest

from firmware.core.dispenser import Dispenser
from firmware.core.ports import (
    Booted,
    Connect,
    Disconnect,
    Linked,
    OpenFlask,
    Save,
    Saved,
    Woke,
)
from firmware.core.session import ANSWER_TIMEOUT_MS
from protocol.fields import BadValue
from tests.firmware.bench import Bench, flask, online_bench
from tests.firmware.broker import DEVICE


def new_dispenser() -> Dispenser:
    return Dispenser(DEVICE, "secret", "1", lambda _bits: 0)


def test_a_job_goes_from_the_offer_to_the_receipt_in_the_order_of_the_design(bench: Bench) -> None:
    before = len(bench.broker.sent)
    bench.offer(1, (1, 500), (2, 700))
    bench.run(lambda: bench.status().receipted_seq == 1)
    told = [
        (one.channel, getattr(one.record, "state", getattr(one.record, "job", None)))
        for one in bench.broker.sent[before:]
    ]
    assert told == [
        ("status", "job-1"),
        ("accept", "job-1"),
        ("progress", "dispensing"),
        ("progress", "done"),
        ("progress", "dispensing"),
        ("progress", "done"),
        ("status", None),
        ("completion", "done"),
        ("status", None),
    ]


@pytest.mark.parametrize(("device", "firmware"), [("A", "1"), ("svc_ingest", "1"), ("dev-1", ""), ("dev-1", "a b")])
def test_names_that_the_protocol_does_not_allow_are_refused_at_once(device: str, firmware: str) -> None:
    with pytest.raises(BadValue):
        Dispenser(device, "secret", firmware, lambda _bits: 0)


def test_facts_before_the_boot_are_ignored() -> None:
    assert new_dispenser().step(0, Woke()) == ([], None)
    assert new_dispenser().step(0, Linked()) == ([], None)


def test_the_boot_counter_is_in_flash_before_anything_is_sent() -> None:
    dispenser = new_dispenser()
    orders, wake_at_ms = dispenser.step(0, Booted({}, "power_on"))
    assert [type(order) for order in orders] == [Save]
    assert wake_at_ms is None
    orders, _wake = dispenser.step(60_000, Woke())
    assert orders == []
    orders, _wake = dispenser.step(60_000, Saved("state.a", True))
    assert orders == [Connect()]


def test_a_dispenser_with_a_broken_flash_comes_online_and_says_so() -> None:
    bench = Bench()
    bench.configure(flask(1))
    bench.save_ok = lambda _slot: False
    bench.boot()
    bench.online()
    assert bench.status().fault == "flash_full"
    bench.offer(1, (1, 300))
    bench.run(lambda: len(bench.sent("accept")) == 1)
    assert bench.openings == []


def test_a_dispenser_on_a_broken_flash_outlives_its_own_older_last_will() -> None:
    bench = online_bench()
    bench.save_ok = lambda _slot: False
    for _ in range(3):
        bench.cut_power()
        bench.boot()
        bench.online()
        bench.run(limit_ms=10_000)
    retained = bench.broker.retained["pitada/v1/bench-1/status"]
    assert b'"online":true' in retained


def test_a_stream_that_nobody_waits_for_is_closed() -> None:
    dispenser = new_dispenser()
    dispenser.step(0, Booted({}, "power_on"))
    orders, _wake = dispenser.step(0, Linked())
    assert orders == [Disconnect()]


def test_no_connect_begins_while_a_flask_is_open_and_no_flask_opens_while_one_is_under_way(bench: Bench) -> None:
    bench.offer(1, (1, 5000), (2, 300))
    bench.run(lambda: len(bench.openings) == 1)
    bench.drop_link()
    bench.network = False
    connects = len(bench.ordered(Connect))
    bench.run(limit_ms=4900)
    assert len(bench.ordered(Connect)) == connects
    bench.run(lambda: len(bench.openings) == 2)
    kinds = [type(one) for one in bench.orders if isinstance(one, (Connect, OpenFlask))]
    assert kinds[-2:] == [Connect, OpenFlask]
    bench.network = True
    bench.run(lambda: bench.status().receipted_seq == 1)


def test_a_receipt_that_comes_while_a_flask_is_open_is_saved_after_it_closed(bench: Bench) -> None:
    bench.receipts = False
    bench.offer(1, (1, 10))
    bench.run(lambda: bench.completion(1) is not None)
    bench.offer(2, (1, 5000))
    bench.run(lambda: len(bench.openings) == 2)
    bench.receipt(1)
    saves = len(bench.ordered(Save))
    acknowledged = len(bench.broker.acknowledged)
    bench.run(limit_ms=4900)
    assert len(bench.ordered(Save)) == saves
    assert len(bench.broker.acknowledged) == acknowledged
    bench.run(lambda: bench.status().receipted_seq == 1)
    assert len(bench.broker.acknowledged) == acknowledged + 1


def test_a_write_that_is_to_be_tried_again_waits_for_the_open_flask_without_waking_for_nothing(bench: Bench) -> None:
    bench.offer(1, (1, 500), (2, 20_000))
    bench.run(lambda: len(bench.openings) == 1)
    bench.save_ok = lambda slot: not slot.startswith("done")
    bench.cancel(7)
    bench.run(lambda: len(bench.openings) == 2)
    bench.run(lambda: bench.status().fault == "flash_full")
    saves = len(bench.ordered(Save))
    bench.run(limit_ms=15_000)
    assert len(bench.ordered(Save)) == saves
    bench.save_ok = lambda _slot: True
    bench.run(lambda: bench.status().receipted_seq == 7)
    assert bench.completion(1) is not None


def test_no_flask_opens_before_the_broker_greets_us_for_that_is_when_tls_takes_its_time(bench: Bench) -> None:
    bench.offer(1, (1, 5000), (2, 300))
    bench.run(lambda: len(bench.openings) == 1)
    bench.drop_link()
    bench.broker.is_deaf = True
    bench.run(lambda: len(bench.ordered(Connect)) == 2)
    linked_at_ms = bench.now_ms
    bench.run(lambda: len(bench.openings) == 2)
    assert bench.openings[1].at_ms - linked_at_ms >= ANSWER_TIMEOUT_MS
