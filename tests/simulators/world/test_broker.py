"""The broker of the world does what the real ones were measured to do."""

import random
from collections.abc import Callable

import pytest

from simulators.world.broker import AUTOSAVE_S, Broker
from simulators.world.loop import VirtualLoop
from simulators.world.sessions import Message, Session
from simulators.world.trace import Trace

TOPIC = "pitada/v1/disp-1/status"
ALL = ("pitada/v1/+/status", "pitada/v1/+/job/completion")


class Listener:
    """A client that keeps what it is sent."""

    def __init__(self) -> None:
        self.session = Session("", False)
        self.got: list[Message] = []
        self.over = 0

    def deliver(self, message: Message) -> None:
        self.got.append(message)

    def ended(self) -> None:
        self.over += 1

    @property
    def payloads(self) -> list[bytes]:
        return [one.payload for one in self.got]


@pytest.fixture
def loop() -> VirtualLoop:
    return VirtualLoop(lambda _context: None)  # type: ignore[abstract]  # as in a world


@pytest.fixture
def broker(loop: VirtualLoop) -> Broker:
    return Broker(loop, random.Random(1), Trace(lambda: loop.now_ms))


@pytest.fixture
def join(broker: Broker) -> Callable[..., Listener]:
    def join(name: str, lasting: bool = False, will: tuple[str, bytes] | None = None) -> Listener:
        client = Listener()
        client.session = broker.connect(client, name, lasting, will)
        return client

    return join


def test_retained_messages_come_at_every_subscription_and_live_ones_are_not_marked(
    broker: Broker, join: Callable[..., Listener]
) -> None:
    broker.publish(TOPIC, b"old", 1, True)
    client = join("a")
    broker.subscribe(client, ALL)
    broker.subscribe(client, ALL)
    broker.publish(TOPIC, b"new", 1, True)
    broker.publish("pitada/v1/disp-1/telemetry", b"other", 0, False)
    assert [(one.payload, one.retained) for one in client.got] == [(b"old", True), (b"old", True), (b"new", False)]


def test_an_empty_payload_clears_what_is_retained(broker: Broker, join: Callable[..., Listener]) -> None:
    broker.publish(TOPIC, b"old", 1, True)
    broker.publish(TOPIC, b"", 1, True)
    client = join("a")
    broker.subscribe(client, ALL)
    assert client.got == []


def test_a_lasting_session_gets_what_it_did_not_acknowledge_and_what_came_while_it_was_away(
    broker: Broker, join: Callable[..., Listener]
) -> None:
    client = join("svc", lasting=True)
    broker.subscribe(client, ALL)
    for payload in (b"1", b"2"):
        broker.publish(TOPIC, payload, 1, False)
    client.session.acked(client.got[0].number)
    broker.disconnect("svc", client)
    broker.publish(TOPIC, b"3", 1, False)
    again = join("svc", lasting=True)
    broker.resume(again)
    assert [(one.payload, one.repeated) for one in again.got] == [(b"2", True), (b"3", True)]


def test_a_clean_session_gets_neither(broker: Broker, join: Callable[..., Listener]) -> None:
    client = join("a")
    broker.subscribe(client, ALL)
    broker.publish(TOPIC, b"1", 1, False)
    broker.disconnect("a", client)
    again = join("a")
    broker.resume(again)
    assert again.got == []


def test_a_taken_name_ends_the_other_connection_with_its_last_will(
    broker: Broker, join: Callable[..., Listener]
) -> None:
    first = join("disp-1", will=(TOPIC, b"gone"))
    join("disp-1", will=(TOPIC, b"gone too"))
    assert first.over == 1
    assert broker.retained[TOPIC] == b"gone"


def test_a_good_end_publishes_no_will(broker: Broker, join: Callable[..., Listener]) -> None:
    client = join("disp-1", will=(TOPIC, b"gone"))
    broker.disconnect("disp-1", client, clean=True)
    assert broker.retained == {}


def test_a_will_can_come_late(loop: VirtualLoop, broker: Broker, join: Callable[..., Listener]) -> None:
    broker.late_wills_s = [3.0]
    join("disp-1", will=(TOPIC, b"gone"))
    assert broker.break_client("disp-1")
    broker.publish(TOPIC, b"back", 1, True)
    loop.run(lambda: False, 2.9)
    assert broker.retained[TOPIC] == b"back"
    loop.run(lambda: False, 3.1)
    assert broker.retained[TOPIC] == b"gone"


@pytest.mark.parametrize("crash", [True, False])
def test_a_crash_forgets_what_came_since_the_last_save_and_a_good_end_nothing(
    crash: bool, loop: VirtualLoop, broker: Broker, join: Callable[..., Listener]
) -> None:
    client = join("svc", lasting=True)
    broker.subscribe(client, ALL)
    broker.publish(TOPIC, b"saved", 1, True)
    loop.run(lambda: False, AUTOSAVE_S + 0.1)
    broker.publish(TOPIC, b"not saved", 1, True)
    broker.stop(crash)
    assert (client.over, broker.up) == (1, False)
    broker.start()
    again = join("svc", lasting=True)
    broker.resume(again)
    assert broker.retained[TOPIC] == (b"saved" if crash else b"not saved")
    assert again.payloads == [b"saved"] if crash else [b"saved", b"not saved"]
