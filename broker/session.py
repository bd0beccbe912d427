"""One account's session: what it may do, what it asked for, and what is on its way to it. No I/O."""

from collections import deque
from typing import Protocol

from broker.limits import Counters, Limits
from broker.packets import MAX_LEVELS, Will
from protocol import access
from protocol.packets import PUBLISH, length_bytes

# Topics whose permission is remembered: a dispenser has some tens, dispatch and ingest a few for each of 1,000.
_REMEMBERED_OF_DEVICE = 64
_REMEMBERED_OF_SERVICE = 8_192

# The longest topic of the protocol has 66 characters. Longer ones are nobody's, so they are not remembered either.
_MAX_TOPIC_CHARS = 256


class Outlet(Protocol):
    """The way to a connected client."""

    @property
    def full(self) -> bool:
        """Whether the client is slow: it has more unsent bytes than it should."""
        ...

    def write(self, data: bytes) -> None:
        """Send, some time soon, in order."""
        ...

    def close(self, why: str) -> None:
        """End the connection."""
        ...


class Message:
    """A message on its way through. One object, however many clients it goes to."""

    __slots__ = ("head", "payload", "qos", "retained", "topic")

    def __init__(self, topic: str, payload: bytes, qos: int, retained: bool = False) -> None:
        raw = topic.encode()
        self.topic = topic
        self.payload = payload
        self.qos = qos
        self.retained = retained  # what the client sees: true only for a replay after its SUBSCRIBE
        self.head = len(raw).to_bytes(2, "big") + raw

    def packet(self, qos: int, packet_id: int, repeat: bool = False) -> bytes:
        """The PUBLISH for one client."""
        first = PUBLISH | (qos << 1) | self.retained | (repeat << 3)
        number = packet_id.to_bytes(2, "big") if qos else b""
        length = length_bytes(len(self.head) + len(number) + len(self.payload))
        return b"".join((bytes((first,)), length, self.head, number, self.payload))


class Session:
    """Lives as long as the account's subscriptions do; `outlet` is None while the client is away."""

    def __init__(self, user: str, clean: bool, limits: Limits, counters: Counters) -> None:
        is_device = access.role_of(user) == access.DEVICE
        self.user = user
        self.clean = clean
        self.subscriptions: dict[str, int] = {}
        self.outlet: Outlet | None = None
        self.will: Will | None = None
        self._counters = counters
        self._window = limits.inflight
        self._limit = limits.device_queue if is_device else limits.service_queue
        self._packet_id = 0
        self._inflight: dict[int, Message] = {}  # in the order in which they were sent
        self._queue: deque[tuple[Message, int]] = deque()
        self._queue_bytes = 0
        self._publish_filters = access.filters_of(user, access.PUBLISH)
        self._remembered = _REMEMBERED_OF_DEVICE if is_device else _REMEMBERED_OF_SERVICE
        self._may_publish: dict[str, bool] = {}

    @property
    def waiting(self) -> int:
        """Messages that are queued or sent and not acknowledged."""
        return len(self._queue) + len(self._inflight)

    def may_publish(self, topic: str) -> bool:
        """Whether the access rules let this account publish there."""
        allowed = self._may_publish.get(topic)
        if allowed is None:
            if _too_long(topic):
                return False
            allowed = any(access.covers(own, topic) for own in self._publish_filters)
            if len(self._may_publish) >= self._remembered:
                self._may_publish.clear()
            self._may_publish[topic] = allowed
        return allowed

    def may_subscribe(self, filter: str) -> bool:
        """Whether everything that the filter can match is this account's to read."""
        return not _too_long(filter) and access.may_subscribe(self.user, filter)

    def deliver(self, message: Message, qos: int) -> None:
        """Send now if the client keeps up, else queue; QoS 0 for a client that is away is not kept."""
        outlet = self.outlet
        if outlet is None:
            if qos and not self.clean:
                self._enqueue(message, qos)
        elif self._queue or outlet.full or (qos and len(self._inflight) >= self._window):
            self._enqueue(message, qos)
        else:
            self._send(outlet, message, qos)

    def acknowledge(self, packet_id: int) -> None:
        """The client has the message. An id that is not on its way (a repeat) changes nothing."""
        if self._inflight.pop(packet_id, None) is not None and self._queue:
            self.pump()

    def pump(self) -> None:
        """Send what waits, as far as the client keeps up."""
        outlet = self.outlet
        while self._queue and outlet is not None and not outlet.full:
            message, qos = self._queue[0]
            if qos and len(self._inflight) >= self._window:
                return
            self._queue.popleft()
            self._queue_bytes -= _size(message)
            self._send(outlet, message, qos)

    def resume(self) -> None:
        """After a reconnect: first repeat what was not acknowledged, then go on with what waits."""
        if self.outlet is not None:
            for packet_id, message in self._inflight.items():
                self.outlet.write(message.packet(1, packet_id, repeat=True))
                self._counters.sent += 1
        self.pump()

    def leave(self) -> None:
        """The client is away: QoS 0 is not kept for it."""
        self.outlet = None
        if any(qos == 0 for _, qos in self._queue):
            self._queue = deque((message, qos) for message, qos in self._queue if qos)
            self._queue_bytes = sum(_size(message) for message, _ in self._queue)

    def _enqueue(self, message: Message, qos: int) -> None:
        size = _size(message)
        if len(self._queue) >= self._limit.messages or self._queue_bytes + size > self._limit.bytes:
            self._counters.dropped_queue_full += 1
            return
        self._queue.append((message, qos))
        self._queue_bytes += size

    def _send(self, outlet: Outlet, message: Message, qos: int) -> None:
        packet_id = 0
        if qos:
            packet_id = self._next_packet_id()
            self._inflight[packet_id] = message
        outlet.write(message.packet(qos, packet_id))
        self._counters.sent += 1

    def _next_packet_id(self) -> int:
        # The window is far smaller than the 65,535 ids, so a free one is found at once.
        while True:
            self._packet_id = self._packet_id % 65_535 + 1
            if self._packet_id not in self._inflight:
                return self._packet_id


def _too_long(topic: str) -> bool:
    return len(topic) > _MAX_TOPIC_CHARS or topic.count("/") >= MAX_LEVELS


def _size(message: Message) -> int:
    return len(message.head) + len(message.payload)
