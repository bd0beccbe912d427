"""What passes on a fleet's wires is counted, and changes nothing."""

from firmware.core import packets
from firmware.core.ports import Booted, Port, Received, Send
from protocol import topics
from simulators.wire import KEPT_SECONDS, HeardCore, Wire

CONNECT = packets.connect("disp-1", "secret", 30, "will", b"gone")


class Clock:
    """Seconds that a test sets."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def completion(device: str, seq: int) -> bytes:
    return packets.publish(topics.COMPLETION.topic(device), b'{"job":"j","seq":%d,"state":"done"}' % seq, True, 1)


def receipt(device: str, seq: int) -> bytes:
    return packets.publish(topics.RECEIPT.topic(device), b'{"job":"j","seq":%d,"epoch":"e"}' % seq, False, 1)


def test_a_completion_waits_from_its_first_publish_to_its_own_receipt() -> None:
    clock = Clock()
    wire = Wire(clock)
    wire.sent("disp-1", completion("disp-1", 7))
    wire.sent("disp-2", completion("disp-2", 7))
    clock.now_s += 0.5
    wire.sent("disp-1", completion("disp-1", 7))
    wire.came("disp-1", receipt("disp-1", 6))
    assert (wire.unreceipted, list(wire.waited_ms)) == (2, [])
    clock.now_s += 0.25
    wire.came("disp-1", receipt("disp-1", 6) + receipt("disp-1", 7))
    assert (wire.unreceipted, list(wire.waited_ms)) == (1, [750])
    wire.came("disp-1", receipt("disp-1", 7))
    assert list(wire.waited_ms) == [750]


def test_a_receipt_that_is_cut_counts_when_it_comes_again() -> None:
    wire = Wire(Clock())
    wire.sent("disp-1", completion("disp-1", 7))
    wire.came("disp-1", receipt("disp-1", 7)[:-18])
    assert wire.unreceipted == 1
    wire.came("disp-1", receipt("disp-1", 7))
    assert wire.unreceipted == 0


def test_other_packets_wait_for_nothing() -> None:
    wire = Wire(Clock())
    wire.sent("disp-1", packets.PINGREQ)
    wire.sent("disp-1", packets.publish(topics.STATUS.topic("disp-1"), b'{"seq":1}', True, 1))
    wire.came("disp-1", b"\xd0\x00")
    assert (wire.unreceipted, wire.connects_total) == (0, 0)


def test_connects_are_counted_by_the_second_and_the_oldest_seconds_are_forgotten() -> None:
    clock = Clock()
    wire = Wire(clock)
    for _ in range(3):
        wire.sent("disp-1", CONNECT)
    for _ in range(KEPT_SECONDS):
        clock.now_s += 1.5
        wire.sent("disp-1", CONNECT)
    assert wire.connects_total == 3 + KEPT_SECONDS
    assert len(wire.connects) == KEPT_SECONDS
    assert wire.connects[0] == (101, 1)


def test_a_core_that_is_listened_to_is_otherwise_the_same() -> None:
    class Inner:
        def step(self, now_ms: int, fact: Port) -> tuple[list[Port], int | None]:
            return [Send(CONNECT)] if isinstance(fact, Booted) else [], now_ms + 5

    wire = Wire(Clock())
    core = HeardCore(Inner(), "disp-1", wire)
    assert core.step(10, Booted({}, "power_on")) == ([Send(CONNECT)], 15)
    assert core.step(20, Received(b"\xd0\x00")) == ([], 25)
    assert wire.connects_total == 1
