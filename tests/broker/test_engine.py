"""The engine without sockets: outlets here are lists."""

from broker.engine import Engine
from broker.limits import Limits, QueueLimit
from broker.packets import Connect, Will
from broker.session import Session
from protocol.packets import Framer, parse_publish

STATUS = "pitada/v1/dev-a/status"


class Wire:
    """An outlet that keeps what it got, and is slow when told so."""

    def __init__(self) -> None:
        self.full = False
        self.closed: str | None = None
        self._data = b""

    def write(self, data: bytes) -> None:
        self._data += data

    def close(self, why: str) -> None:
        self.closed = why

    def packets(self) -> list[tuple[int, bytes]]:
        data, self._data = self._data, b""
        return list(Framer(1 << 20).feed(data))

    def messages(self) -> list[tuple[str, bytes, int, bool, int]]:
        return [parse_publish(first & 0xF7, body) for first, body in self.packets() if first & 0xF0 == 0x30]

    def payloads(self) -> list[bytes]:
        return [message[1] for message in self.messages()]


def hello(*, clean: bool = True, will: Will | None = None) -> Connect:
    return Connect(client_id="", clean=clean, keepalive_s=0, user=None, password=b"", will=will)


def join(engine: Engine, user: str, *, clean: bool = True, will: Will | None = None) -> tuple[Session, Wire]:
    wire = Wire()
    session = engine.attach(user, hello(clean=clean, will=will), wire)
    assert session is not None
    return session, wire


def test_no_more_than_the_window_is_sent_before_an_acknowledgement() -> None:
    engine = Engine(Limits(inflight=2))
    ingest, wire = join(engine, "svc_ingest")
    engine.subscribe(ingest, 1, [("pitada/v1/+/status", 1)])
    device, _ = join(engine, "dev-a")
    for number in range(4):
        engine.publish(device, STATUS, b"%d" % number, 1, False)

    first = wire.messages()
    ingest.acknowledge(first[0][4])

    assert [message[1] for message in first] == [b"0", b"1"]
    assert wire.payloads() == [b"2"]
    assert ingest.waiting == 3


def test_a_full_queue_drops_the_newest_and_counts_it() -> None:
    engine = Engine(Limits(service_queue=QueueLimit(messages=3, bytes=10_000)))
    ingest, wire = join(engine, "svc_ingest", clean=False)
    engine.subscribe(ingest, 1, [("pitada/v1/+/status", 1)])
    engine.detach(ingest, wire, publish_will=False)
    device, _ = join(engine, "dev-a")
    for number in range(5):
        engine.publish(device, STATUS, b"%d" % number, 1, False)

    _, again = join(engine, "svc_ingest", clean=False)

    assert again.payloads() == [b"0", b"1", b"2"]
    assert engine.counters.dropped_queue_full == 2


def test_a_queue_is_bounded_in_bytes_too() -> None:
    engine = Engine(Limits(service_queue=QueueLimit(messages=100, bytes=300)))
    ingest, wire = join(engine, "svc_ingest", clean=False)
    engine.subscribe(ingest, 1, [("pitada/v1/+/status", 1)])
    engine.detach(ingest, wire, publish_will=False)
    device, _ = join(engine, "dev-a")
    for _ in range(3):
        engine.publish(device, STATUS, b"x" * 100, 1, False)

    assert engine.counters.dropped_queue_full == 1


def test_a_slow_client_gets_the_rest_in_order_when_it_has_caught_up() -> None:
    engine = Engine(Limits())
    board, wire = join(engine, "svc_dashboard")
    engine.subscribe(board, 1, [("pitada/v1/#", 1)])
    device, _ = join(engine, "dev-a")
    wire.full = True
    engine.publish(device, STATUS, b"one", 1, False)
    engine.publish(device, "pitada/v1/dev-a/telemetry", b"two", 0, False)
    assert wire.payloads() == []

    wire.full = False
    engine.publish(device, STATUS, b"three", 1, False)
    board.pump()

    assert wire.payloads() == [b"one", b"two", b"three"]


def test_qos_0_is_not_kept_for_a_client_that_left() -> None:
    engine = Engine(Limits())
    board, wire = join(engine, "svc_dashboard", clean=False)
    engine.subscribe(board, 1, [("pitada/v1/#", 1)])
    device, _ = join(engine, "dev-a")
    wire.full = True
    engine.publish(device, "pitada/v1/dev-a/telemetry", b"gone", 0, False)
    engine.publish(device, STATUS, b"kept", 1, False)
    engine.detach(board, wire, publish_will=False)
    engine.publish(device, "pitada/v1/dev-a/telemetry", b"gone", 0, False)

    _, again = join(engine, "svc_dashboard", clean=False)

    assert again.payloads() == [b"kept"]


def test_overlapping_filters_deliver_once_with_the_highest_qos() -> None:
    engine = Engine(Limits())
    board, wire = join(engine, "svc_dashboard")
    engine.subscribe(board, 1, [("pitada/v1/+/status", 0), ("pitada/v1/#", 1), (STATUS, 0)])
    device, _ = join(engine, "dev-a")

    engine.publish(device, STATUS, b"here", 1, False)

    assert [message[2] for message in wire.messages()] == [1]


def test_a_forbidden_filter_is_refused_in_the_suback_and_the_others_granted() -> None:
    engine = Engine(Limits())
    device, wire = join(engine, "dev-a")
    wire.packets()

    engine.subscribe(device, 7, [("pitada/v1/#", 1), ("pitada/v1/dev-a/config", 2)])

    assert wire.packets() == [(0x90, b"\x00\x07\x80\x01")]
    assert engine.counters.forbidden_subscriptions == 1


def test_more_filters_than_the_limit_are_refused() -> None:
    engine = Engine(Limits(subscriptions=1))
    device, wire = join(engine, "dev-a")
    wire.packets()

    engine.subscribe(device, 1, [("pitada/v1/dev-a/config", 1), ("pitada/v1/dev-a/firmware", 1)])
    engine.subscribe(device, 2, [("pitada/v1/dev-a/config", 0)])

    assert [body for _, body in wire.packets()] == [b"\x00\x01\x01\x80", b"\x00\x02\x00"]


def test_one_device_cannot_use_up_the_retained_messages_of_others() -> None:
    engine = Engine(Limits(retained_per_device=2))
    greedy, _ = join(engine, "dev-a")
    for number in range(4):
        engine.publish(greedy, f"pitada/v1/dev-a/flask/{number}/progress", b"x", 1, True)
    other, _ = join(engine, "dev-b")
    engine.publish(other, "pitada/v1/dev-b/status", b"x", 1, True)

    assert engine.retained_count == 3
    assert engine.counters.dropped_retained_full == 2


def test_a_retained_topic_that_is_known_takes_new_values_at_the_bound() -> None:
    changes: list[tuple[str, bytes, int]] = []
    engine = Engine(Limits(retained=1), [(STATUS, b"old", 1)], lambda *change: changes.append(change))
    device, _ = join(engine, "dev-a")

    engine.publish(device, STATUS, b"new", 1, True)
    engine.publish(device, STATUS, b"", 1, True)
    engine.publish(device, STATUS, b"", 1, True)

    assert changes == [(STATUS, b"new", 1), (STATUS, b"", 1)]
    assert engine.retained_count == 0


def test_an_account_with_no_role_is_refused() -> None:
    engine = Engine(Limits())
    wire = Wire()

    assert engine.attach("Somebody Else", hello(), wire) is None
    assert wire.packets() == [(0x20, b"\x00\x05")]


def test_a_will_for_a_forbidden_topic_is_refused_and_the_live_client_stays() -> None:
    engine = Engine(Limits())
    device, wire = join(engine, "dev-a")

    assert engine.attach("dev-a", hello(will=Will("pitada/v1/dev-b/status", b"x", 1, True)), Wire()) is None

    assert wire.closed is None
    assert engine.session("dev-a") is device


def test_the_end_of_a_connection_that_was_taken_over_changes_nothing() -> None:
    engine = Engine(Limits())
    first, old_wire = join(engine, "dev-a", will=Will(STATUS, b"offline", 1, True))
    second, _ = join(engine, "dev-a", will=Will(STATUS, b"offline", 1, True))

    engine.detach(first, old_wire, publish_will=True)

    assert old_wire.closed is not None
    assert engine.session("dev-a") is second
    assert engine.counters.wills == 1


def test_topics_of_absurd_length_or_depth_are_dropped() -> None:
    engine = Engine(Limits())
    device, _ = join(engine, "dev-a")

    engine.publish(device, "pitada/v1/dev-a/flask/" + "x" * 1_000 + "/progress", b"x", 1, True)
    operator, wire = join(engine, "op_ana")
    wire.packets()
    engine.subscribe(operator, 1, [("pitada/v1/" + "/".join("+" * 100), 1)])

    assert engine.counters.forbidden_publishes == 1
    assert wire.packets() == [(0x90, b"\x00\x01\x80")]


def test_packet_ids_wrap_around_without_touching_those_on_their_way() -> None:
    engine = Engine(Limits(inflight=3))
    ingest, wire = join(engine, "svc_ingest")
    engine.subscribe(ingest, 1, [("pitada/v1/+/status", 1)])
    device, _ = join(engine, "dev-a")
    engine.publish(device, STATUS, b"held", 1, False)
    held = wire.messages()[0][4]
    seen = set()
    for _ in range(65_540):
        engine.publish(device, STATUS, b"x", 1, False)
        packet_id = wire.messages()[0][4]
        seen.add(packet_id)
        ingest.acknowledge(packet_id)

    assert held not in seen
    assert 0 not in seen
    assert max(seen) == 65_535
