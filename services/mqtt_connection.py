"""One connection to the broker: bytes in, messages out. Made and used on one event loop; `services.mqtt` is its face.

A client of our own, because what a fleet says is settled as fast as it is read: the general client asked the socket
three times for each message and woke a future for each (docs/decisions/0006).
"""

import asyncio
import contextlib
import itertools
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from services import mqtt_packets as packets

# Messages read ahead of whoever takes them. A broker's window keeps QoS 1 far below it (Mosquitto's here: 4,000), so
# this is telemetry, which is worth dropping: the next one says more.
MOST_TELEMETRY = 8_000

# Where reading stops altogether: a broker with a wider window than ours. A message is about 1 kB here: 20 MB.
MOST_BUFFERED = 20_000

# Publishes that the broker has not acknowledged; below Mosquitto's own window.
MOST_UNANSWERED = 500

# A broker that is silent for two of these is gone; Mosquitto drops a client after one and a half.
KEEPALIVE_S = 15

# How long the broker may take for what it answers at once.
ANSWER_S = 10.0

# How long the broker may take to hang up after a goodbye.
_GOODBYE_S = 2.0

_numbers = itertools.count(1)


class BrokerLost(Exception):
    """The broker cannot be reached, refuses this client, or the connection to it has ended."""


class Delivery(NamedTuple):
    """One message from the broker. `mid` and `connection` acknowledge it, on the connection that brought it only."""

    topic: str
    payload: bytes
    qos: int
    mid: int
    retained: bool = False
    connection: int = 0


class Outgoing(NamedTuple):
    """One message for the broker."""

    topic: str
    payload: bytes
    qos: int
    retained: bool


class Connection(asyncio.Protocol):
    """See the module. `telemetry_dropped` counts the QoS 0 messages that found the buffer full."""

    def __init__(self) -> None:
        self.number = next(_numbers)
        self.telemetry_dropped = 0
        self._loop = asyncio.get_running_loop()
        self._arrived: deque[Delivery] = deque()
        self._rest = b""
        self._packet_id = 0
        self._unanswered: set[int] = set()
        self._paused = False
        self._listening = 0  # how many wait for acknowledgements
        self._heard = True
        self._lost: BrokerLost | None = None
        self._ended: asyncio.Future[None] = self._loop.create_future()
        # What somebody waits for, one at a time: a message, room to publish, an answer.
        self._message = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._answer: asyncio.Future[bytes] | None = None
        self._beat: asyncio.TimerHandle | None = None

    # What the owner does

    async def sign_in(self, user: str, password: str, *, clean_session: bool) -> None:
        """CONNECT. Raises `BrokerLost` when it is refused."""
        asked = packets.connect(user, password, clean_session=clean_session, keepalive_s=KEEPALIVE_S)
        code = (await self._ask(asked))[1]
        if code:
            raise BrokerLost(f"the broker refuses {user}: {packets.CONNECT_REFUSALS.get(code, f'code {code}')}")
        self._keep_alive()

    async def subscribe(self, filters: Sequence[str]) -> None:
        """SUBSCRIBE with QoS 1. Raises `BrokerLost` when one is refused."""
        codes = (await self._ask(packets.subscribe(self._next_id(), filters)))[2:]
        refused = [name for name, code in zip(filters, codes, strict=False) if code == packets.REFUSED]
        if refused:
            raise BrokerLost(f"the broker refuses to let this account read {', '.join(refused)}")

    async def take(self, most: int) -> list[Delivery]:
        """What has arrived, at most `most`, in order; waits for the first."""
        while not self._arrived:
            self._check()
            self._message.clear()
            await self._message.wait()
        # What came before the end is not worth settling: it cannot be acknowledged and comes again.
        self._check()
        arrived = self._arrived
        taken = [arrived.popleft() for _ in range(min(most, len(arrived)))]
        if self._paused and len(arrived) < MOST_BUFFERED // 2:
            self._paused = False
            self._transport.resume_reading()
        return taken

    def acknowledge(self, batch: Sequence[Delivery]) -> None:
        """PUBACK for all, in one write. Raises `BrokerLost` for what another connection brought."""
        self._check()
        if any(delivery.connection != self.number for delivery in batch):
            raise BrokerLost("what an earlier connection brought cannot be acknowledged on this one; it comes again")
        mids = [delivery.mid for delivery in batch if delivery.qos]
        if mids:
            self._transport.write(packets.pubacks(mids))

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        """Send all, in order, with never more than `MOST_UNANSWERED` that the broker has not acknowledged."""
        self._check()
        out: list[bytes] = []
        for topic, payload, qos, retained in messages:
            if qos and len(self._unanswered) >= MOST_UNANSWERED:
                self._write(out)
                await self._until_unanswered_below(MOST_UNANSWERED)
                self._check()
            packet_id = self._next_id() if qos else 0
            if qos:
                self._unanswered.add(packet_id)
            out.append(packets.publish(topic, payload, packet_id, retained=retained))
        self._write(out)

    async def close(self) -> None:
        """Leave in good order, once the broker has what was sent. Nothing happens when the connection has ended."""
        # A socket closed with something unread in it takes back what was sent last; so the broker closes it, not we.
        with contextlib.suppress(TimeoutError, BrokerLost):
            async with asyncio.timeout(ANSWER_S):
                await self._until_unanswered_below(1)
        if self._lost is None:
            self._transport.write(packets.DISCONNECT)
            self._end("this service left")
            self._transport.resume_reading()
            await asyncio.wait((self._ended,), timeout=_GOODBYE_S)
            self._transport.abort()

    def _write(self, out: list[bytes]) -> None:
        if out:
            self._transport.write(b"".join(out))
            out.clear()

    async def _until_unanswered_below(self, bound: int) -> None:
        # The acknowledgements come in the same stream as the messages: whoever waits for them has to read on. The
        # buffer may then exceed its bound by what the broker had sent before them.
        self._listening += 1
        if self._paused:
            self._paused = False
            self._transport.resume_reading()
        try:
            while len(self._unanswered) >= bound:
                self._check()
                self._room.clear()
                await self._room.wait()
        finally:
            self._listening -= 1
            self._pause_if_full()

    def _pause_if_full(self) -> None:
        if len(self._arrived) >= MOST_BUFFERED and not (self._paused or self._listening or self._lost):
            self._paused = True
            self._transport.pause_reading()

    async def _ask(self, packet: bytes) -> bytes:
        self._check()
        self._answer = self._loop.create_future()
        self._transport.write(packet)
        try:
            return await asyncio.wait_for(self._answer, ANSWER_S)
        except TimeoutError:
            raise BrokerLost(f"the broker did not answer within {ANSWER_S:.0f} s") from None
        finally:
            self._answer = None

    def _next_id(self) -> int:
        while True:
            self._packet_id = self._packet_id % packets.LAST_ID + 1
            if self._packet_id not in self._unanswered:
                return self._packet_id

    def _check(self) -> None:
        if self._lost is not None:
            raise BrokerLost(str(self._lost))

    def _keep_alive(self) -> None:
        if self._lost is not None:
            return
        if not self._heard and not self._paused:
            self._end(f"the broker was silent for {2 * KEEPALIVE_S} s")
            self._transport.abort()
            return
        self._heard = False
        self._transport.write(packets.PINGREQ)
        self._beat = self._loop.call_later(KEEPALIVE_S, self._keep_alive)

    # What the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        self._end(f"the connection to the broker was lost: {error or 'it closed the connection'}")
        if not self._ended.done():
            self._ended.set_result(None)

    def data_received(self, data: bytes) -> None:
        self._heard = True
        if self._lost is not None:
            return
        if self._rest:
            data = self._rest + data
        try:
            self._rest = data[self._read(data) :]
        except (packets.NotMqtt, ValueError, IndexError) as error:
            self._end(f"the broker sent what is no MQTT: {error}")
            self._transport.abort()

    def _read(self, data: bytes) -> int:
        """Take every whole packet. Returns where the one that is not whole begins."""
        at, end = 0, len(data)
        while at + 2 <= end:
            first, begins = data[at], at + 2
            ends = begins + data[at + 1]
            if data[at + 1] >= 0x80:
                begins, ends = packets.body_of(data, at)
                if not begins:
                    break
            if ends > end:
                if ends - at > packets.LONGEST:
                    raise packets.NotMqtt(f"a packet of {ends - at} bytes")
                break
            if first & 0xF0 == packets.PUBLISH:
                self._deliver(first, data, begins, ends)
            else:
                self._answered(first & 0xF0, data[begins:ends])
            at = ends
        if self._arrived:
            self._message.set()
        return at

    def _deliver(self, first: int, data: bytes, begins: int, ends: int) -> None:
        topic_ends = begins + 2 + (data[begins] << 8 | data[begins + 1])
        topic = data[begins + 2 : topic_ends].decode()
        qos = first >> 1 & 3
        mid = 0
        if qos:
            mid = data[topic_ends] << 8 | data[topic_ends + 1]
            topic_ends += 2
        elif len(self._arrived) >= MOST_TELEMETRY:
            self.telemetry_dropped += 1
            return
        if topic_ends > ends:
            raise packets.NotMqtt("a PUBLISH that is shorter than it says")
        payload = data[topic_ends:ends]
        self._arrived.append(Delivery(topic, payload, qos, mid, first & 1 == 1, self.number))
        self._pause_if_full()

    def _answered(self, kind: int, body: bytes) -> None:
        if kind == packets.PUBACK:
            self._unanswered.discard(body[0] << 8 | body[1])
            self._room.set()
        elif kind in (packets.CONNACK, packets.SUBACK):
            if self._answer is not None and not self._answer.done():
                self._answer.set_result(body)
        elif kind != packets.PINGRESP:
            raise packets.NotMqtt(f"a packet of type {kind >> 4}")

    def _end(self, why: str) -> None:
        """From now on everything raises, and what arrived is dropped: it comes again."""
        if self._lost is not None:
            return
        self._lost = BrokerLost(why)
        self._arrived.clear()
        self._rest = b""
        if self._beat is not None:
            self._beat.cancel()
        self._message.set()
        self._room.set()
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(BrokerLost(why))
