"""Whatever comes from the network or out of flash: no exception, no flask, no growth."""

import json
import random
import sys

import pytest

from firmware.core.dispenser import Dispenser
from firmware.core.ports import (
    Booted,
    Connect,
    Disconnect,
    FlaskClosed,
    FlaskFailed,
    Linked,
    LinkLost,
    OpenFlask,
    Port,
    Received,
    Sampled,
    Save,
    Saved,
    StopPressed,
    Woke,
)
from protocol import codec, topics
from protocol.messages import CancelJob, CompletionReceived, OfferedItem, OfferJob, ResendCompletions
from tests.firmware.bench import online_bench
from tests.firmware.broker import DEVICE, FakeBroker
from tests.firmware.garbage import bent, values

CONNACK = b"\x20\x02\x00\x00"


# MicroPython's VM takes some twenty times as long: there a tenth has to do.
SHARE = 10 if sys.implementation.name == "micropython" else 1


@pytest.mark.parametrize("seed", range(4))
def test_5000_bent_packets_neither_raise_nor_open_a_flask(seed: int) -> None:
    rng = random.Random(seed)
    dispenser = Dispenser(DEVICE, "secret", "1", rng.getrandbits)
    now_ms = 0
    orders, _wake = dispenser.step(now_ms, Booted({}, "power_on"))
    dispenser.step(now_ms, Saved("state.a", True))
    broker = FakeBroker()
    good = [
        CONNACK,
        b"\x90\x09\x00\x01" + b"\x01" * 7,
        b"\x40\x02\x00\x02",
        b"\xd0\x00",
    ]
    good += [broker.message(channel.topic(DEVICE, 1), b"{}") for channel in topics.CHANNELS]
    heard = 0
    for _ in range(5000 // SHARE):
        now_ms += 61_000
        orders, _wake = dispenser.step(now_ms, Woke())
        if any(isinstance(order, Connect) for order in orders):
            dispenser.step(now_ms, Linked())
            if rng.random() < 0.9:
                dispenser.step(now_ms, Received(CONNACK))
        data = bent(rng, rng.choice(good)) if rng.random() < 0.9 else rng.randbytes(rng.randrange(200))
        orders, _wake = dispenser.step(now_ms, Received(data))
        heard += bool(orders)
        assert not any(isinstance(order, (OpenFlask, Save)) for order in orders)
    assert heard > 500 // SHARE


@pytest.mark.parametrize("seed", range(4))
def test_1500_bent_payloads_on_every_topic_open_no_flask_and_leave_the_dispenser_at_work(seed: int) -> None:
    rng = random.Random(seed)
    bench = online_bench(seed)
    epoch = bench.epoch
    good = [
        codec.encode(OfferJob(job="j", seq=5, epoch="00000000", items=(OfferedItem(flask=1, target_mg=5),))),
        codec.encode(CancelJob(job="j", seq=5, epoch="00000000")),
        codec.encode(CompletionReceived(job="j", seq=5, epoch=epoch)),
        codec.encode(ResendCompletions(from_seq=1)),
        b"[" * 4000,
        b"\xff\xfe",
        b"x" * 4097,
    ]
    mine = [channel.topic(DEVICE, 1) for channel in topics.CHANNELS]
    strange = ["", "pitada/v1/other/job/offer", "pitada/v1/bench-1", "pitada/v1/bench-1/flask/99/progress", "a/b", "💧"]
    for count in range(1500 // SHARE):
        payload = rng.choice(good) if rng.random() < 0.3 else json.dumps(values(rng)).encode()
        topic = rng.choice(mine if rng.random() < 0.9 else strange)
        if topic == topics.CONFIG.topic(DEVICE):
            continue
        bench.to_device(bench.broker.message(topic, payload))
        if count % 50 == 49:
            bench.run(limit_ms=40_000)
    assert not bench.openings
    bench.run(lambda: bench.broker.listening)
    seq = bench.status().last_seq + 1
    bench.offer(seq, (1, 500))
    bench.run(lambda: bench.completion(seq) is not None)
    assert [one.flask for one in bench.openings] == [1]


@pytest.mark.parametrize("seed", range(3))
def test_bent_flash_never_stops_the_boot_or_opens_a_flask_by_itself(seed: int) -> None:
    rng = random.Random(seed)
    bench = online_bench(seed)
    for seq in range(1, 4):
        bench.offer(seq, (1, 500), (2, 300))
        bench.run(lambda wanted=seq: bench.status().receipted_seq == wanted)  # type: ignore[misc]  # binds now
    flash = dict(bench.flash)
    for _ in range(300 // SHARE):
        slots = {name: bent(rng, data) if rng.random() < 0.5 else data for name, data in flash.items()}
        dispenser = Dispenser(DEVICE, "secret", "1", rng.getrandbits)
        orders, _wake = dispenser.step(0, Booted(slots, "no such cause"))
        assert any(isinstance(order, Save) for order in orders)
        assert not any(isinstance(order, OpenFlask) for order in orders)


@pytest.mark.parametrize("seed", range(5))
def test_facts_in_any_order_never_raise_and_never_wake_in_the_past(seed: int) -> None:
    rng = random.Random(seed)
    facts: list[Port] = [
        Linked(),
        LinkLost("x"),
        Received(CONNACK),
        Received(b"\x90\x09\x00\x01" + b"\x01" * 7),
        Received(b""),
        Saved("state.a", True),
        Saved("state.b", True),
        Saved("state.a", False),
        Saved("done.0", True),
        Saved("config", True),
        Saved("", True),
        FlaskClosed(1, 100),
        FlaskClosed(99, -5, 10**12),
        FlaskFailed(1, "what", None),
        StopPressed(),
        Sampled(500, -7),
        Woke(),
        Booted({}, "soft"),
    ]
    dispenser = Dispenser(DEVICE, "secret", "1", rng.getrandbits)
    now_ms = 0
    for _ in range(4000 // SHARE):
        orders, wake_at_ms = dispenser.step(now_ms, rng.choice(facts))
        assert wake_at_ms is None or wake_at_ms > now_ms
        assert not any(isinstance(order, OpenFlask) for order in orders)
        now_ms += rng.choice((0, 1, 500, 20_000))


def test_an_oversized_packet_is_refused_by_its_header_alone() -> None:
    bench = online_bench()
    bench.to_device(b"\x30\xff\xff\x7f")
    bench.run(lambda: isinstance(bench.orders[-2], Disconnect))
    bench.online()


def test_a_thousand_acknowledged_messages_leave_nothing_behind() -> None:
    bench = online_bench()
    before = len(bench.broker.acknowledged)
    for _ in range(1000):
        bench.deliver("offer", b"no JSON")
    bench.run(limit_ms=1000)
    assert len(bench.broker.acknowledged) - before == 1000
