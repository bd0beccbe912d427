"""The two kinds of clients that a broker has here: dispensers on streams of MQTT, and services on links of messages."""

import asyncio
import random
from collections.abc import Callable, Sequence

from protocol.packets import PUBACK, PUBLISH, TYPE, Framer, parse_puback, parse_publish, puback, publish
from simulators.world.broker import Broker
from simulators.world.loop import VirtualLoop
from simulators.world.network import Stream
from simulators.world.sessions import Message, Session
from simulators.world.trace import Trace

_CONNECT = 0x10
_SUBSCRIBE = 0x80
_PINGREQ = 0xC0
_DISCONNECT = 0xE0
_PINGRESP = b"\xd0\x00"

_PACKET_MOST = 8192

# Between the services and their broker, on one machine or in one room.
_LINK_MS = (1, 8)


class DeviceConnection:
    """A dispenser's stream, as the broker sees it. Ends by itself when nothing is heard for 1.5 times the keepalive."""

    def __init__(self, broker: Broker, stream: Stream, loop: VirtualLoop, trace: Trace) -> None:
        self.session = Session("", False)
        self._broker = broker
        self._stream = stream
        self._loop = loop
        self._trace = trace
        self._framer = Framer(_PACKET_MOST)
        self._name = ""
        self._heard_s = loop.time()
        self._silence_s = 0.0
        self._is_over = False
        self._life = broker.life

    # What the stream tells.

    def received(self, data: bytes) -> None:
        if self._life != self._broker.life:
            self.ended()  # the broker that took this stream is gone
            return
        self._heard_s = self._loop.time()
        for first, body in self._framer.feed(data):
            if self._is_over:
                return
            self._handle(first, body)

    def lost(self) -> None:
        self._is_over = True
        self._broker.disconnect(self._name, self)

    # What the broker tells.

    def deliver(self, message: Message) -> None:
        packet = publish(message.topic, message.payload, message.qos, message.retained, message.number)
        self._stream.send(bytes((packet[0] | 0x08,)) + packet[1:] if message.repeated else packet)

    def ended(self) -> None:
        self._is_over = True
        self._stream.close()

    def _handle(self, first: int, body: bytes) -> None:
        kind = first & TYPE
        if kind == PUBLISH:
            topic, payload, qos, retained, number = parse_publish(first, body)
            self._broker.publish(topic, payload, qos, retained)
            if qos:
                self._stream.send(puback(number))
        elif kind == PUBACK:
            self.session.acked(parse_puback(body))
        elif kind == _PINGREQ:
            self._stream.send(_PINGRESP)
        elif kind == _CONNECT:
            self._sign_in(body)
        elif kind == _SUBSCRIBE:
            filters = _texts(body[2:], 1)
            self._stream.send(b"\x90" + bytes((2 + len(filters),)) + body[:2] + b"\x01" * len(filters))
            self._broker.subscribe(self, filters)
        elif kind == _DISCONNECT:
            self._is_over = True
            self._broker.disconnect(self._name, self, clean=True)
            self._stream.close()

    def _sign_in(self, body: bytes) -> None:
        # Protocol name and level, flags, keepalive; then client id, topic and payload of the will, user, password.
        keepalive_s = int.from_bytes(body[8:10], "big")
        name, topic = _texts(body[10:], 0)[:2]
        at = 10 + 2 + len(name) + 2 + len(topic)
        will = body[at + 2 : at + 2 + int.from_bytes(body[at : at + 2], "big")]
        self._name = name
        self._trace.note("connect", name)
        self.session = self._broker.connect(self, name, False, (topic, will))
        self._stream.send(b"\x20\x02\x00\x00")
        self._silence_s = 1.5 * keepalive_s
        self._loop.call_later(self._silence_s, self._look)

    def _look(self) -> None:
        if self._is_over:
            return
        left_s = self._heard_s + self._silence_s - self._loop.time()
        if left_s > 0:
            self._loop.call_later(left_s, self._look)
        else:
            self._trace.note("silent", self._name)
            self._broker.disconnect(self._name, None)


class LinkCut(Exception):
    """The link to the broker is gone."""


class ServiceLink:
    """A service's connection: messages in, in an order that only topics keep; messages and PUBACKs out, in order.

    What is on its way when the connection breaks is lost; from then on every call raises `LinkCut`.
    """

    def __init__(self, broker: Broker, name: str, lasting: bool, loop: VirtualLoop, rng: random.Random) -> None:
        self.is_cut = False
        self._broker = broker
        self._loop = loop
        self._rng = rng
        self._arrived: list[Message] = []
        self._topic_s: dict[str, float] = {}
        self._up_s = 0.0
        self._waiter: asyncio.Future[None] | None = None
        self._name = name
        self.session = broker.connect(self, name, lasting)
        broker.resume(self)

    async def subscribe(self, filters: Sequence[str]) -> None:
        """Returns when the broker has answered."""
        self._check()
        self._send(self._broker.subscribe, self, filters)
        await asyncio.sleep(self._up_s - self._loop.time() + self._latency_s())
        self._check()

    async def batch(self, most: int) -> list[Message]:
        """What has arrived; waits for the first."""
        while not self._arrived:
            self._check()
            self._waiter = self._loop.create_future()
            await self._waiter
        self._check()
        taken, self._arrived = self._arrived[:most], self._arrived[most:]
        return taken

    def ack(self, numbers: Sequence[int]) -> None:
        self._check()
        for number in numbers:
            self._send(self.session.acked, number)

    def publish(self, topic: str, payload: bytes, qos: int, retained: bool) -> None:
        """Send one message; nobody waits for the broker's word."""
        self._check()
        self._send(self._broker.publish, topic, payload, qos, retained)

    def close(self) -> None:
        """The service lets go."""
        self._cut()
        self._broker.disconnect(self._name, self, clean=True)

    # What the broker tells.

    def deliver(self, message: Message) -> None:
        at_s = max(self._topic_s.get(message.topic, 0.0), self._loop.time() + self._latency_s())
        self._topic_s[message.topic] = at_s
        self._loop.call_at(at_s, self._arrive, message)

    def ended(self) -> None:
        self._cut()

    def _arrive(self, message: Message) -> None:
        if not self.is_cut:
            self._arrived.append(message)
            self._wake()

    def _cut(self) -> None:
        self.is_cut = True
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _send(self, do: Callable[..., None], *arguments: object) -> None:
        self._up_s = max(self._up_s, self._loop.time() + self._latency_s())
        self._loop.call_at(self._up_s, self._reach, do, arguments)

    def _reach(self, do: Callable[..., None], arguments: tuple[object, ...]) -> None:
        if not self.is_cut:
            do(*arguments)

    def _check(self) -> None:
        if self.is_cut:
            raise LinkCut("the broker closed the connection")

    def _latency_s(self) -> float:
        low, high = _LINK_MS
        return (low + self._rng.random() * (high - low)) / 1000


def accepting(broker: Broker, loop: VirtualLoop, trace: Trace) -> Callable[[Stream], DeviceConnection | None]:
    """Who listens for dispensers: the broker, while it is up."""

    def accept(stream: Stream) -> DeviceConnection | None:
        return DeviceConnection(broker, stream, loop, trace) if broker.up else None

    return accept


def _texts(data: bytes, after: int) -> list[str]:
    """The strings of a packet's body, with `after` bytes to skip behind each. What is no text ends them."""
    found = []
    while data:
        size = int.from_bytes(data[:2], "big")
        try:
            found.append(data[2 : 2 + size].decode())
        except UnicodeDecodeError:
            break
        data = data[2 + size + after :]
    return found
