"""A signed-in connection to the broker, over aiomqtt: connect with back-off, batches, acknowledgement by hand.

aiomqtt 2.5 offers neither manual acknowledgement nor its queue, and waits 10 s for a broker that is gone. `Link` and
`_Client` reach for what they need of aiomqtt and of paho below it, here and nowhere else; both are pinned.
"""

import asyncio
import contextlib
import itertools
import logging
import math
import socket
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import aiomqtt
import paho.mqtt.client as mqtt
import stamina
import structlog

from protocol.packets import PUBACK, puback, publish
from services.stream import Delivery, Stream

__all__ = ["Account", "BrokerAddress", "BrokerLost", "Delivery", "Link", "Outgoing", "connected"]

log = structlog.get_logger(__name__)

# Seconds between tries to reach the broker: soon at first, then often enough that a restart is noticed at once.
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 2.0

# Between two looks at the keepalive, as aiomqtt has it.
_MISC_S = 1.0

# A broker that is silent for half as long again is gone.
_KEEPALIVE_S = 15

# Publishes that are written in one go, some 30 kB.
_PUBLISHES_AT_ONCE = 200

# Publishes that the broker has not confirmed. There are 65,535 packet ids, and none may come round before its PUBACK.
_UNCONFIRMED_MOST = 60_000

# With so many messages waiting the connection is not read until half of them are taken. Nothing else bounds what a
# broker sends: Mosquitto 2.0.11 sends a session that reconnects its whole backlog, whatever its window says.
WAITING_MOST = 8_000

# aiomqtt logs each lost connection as an error with a trace; `connected` says the same in one line.
_LIBRARY_LOG = logging.getLogger("pitada.mqtt")
_LIBRARY_LOG.setLevel(logging.CRITICAL)

BrokerLost = aiomqtt.MqttError

T = TypeVar("T")

_numbers = itertools.count(1)


class BrokerAddress(NamedTuple):
    """Where the broker listens. `tls_ca` is a file of certificates to trust; None: no TLS, for loopback only."""

    host: str
    port: int
    tls_ca: str | None = None


class Account(NamedTuple):
    """A service's own account: user name (and so client id) and password."""

    user: str
    password: str


class Outgoing(NamedTuple):
    """One message for the broker."""

    topic: str
    payload: bytes
    qos: int
    retained: bool


class _Client(aiomqtt.Client):
    """aiomqtt's client with a `Stream` between paho and its socket. `changed` is set whenever anything happened."""

    stream: Stream

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.changed = asyncio.Event()
        self._is_reading = True

    @property
    def paho(self) -> Any:
        """The client below."""
        return self._client

    def read_if(self, wanted: bool) -> None:
        """Read the connection from now on, or leave what comes to the kernel, which then slows the broker down."""
        if wanted == self._is_reading or self.paho._sock is not self.stream:
            return
        self._is_reading = wanted
        if wanted:
            self._loop.add_reader(self.stream.fileno(), self._read)
        else:
            self._loop.remove_reader(self.stream.fileno())

    def _on_socket_open(self, client: Any, userdata: Any, sock: Any) -> None:
        # Without it the kernel holds a small packet back until the one before is confirmed: 40 ms for each receipt.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super()._on_socket_open(client, userdata, sock)
        self.stream = client._sock = Stream(sock, next(_numbers))
        self._is_reading = True
        # In the place of aiomqtt's own, before CONNECT is sent.
        self._loop.call_soon_threadsafe(self._if_open, self._loop.add_reader, sock, self._read)

    def _on_socket_register_write(self, client: Any, userdata: Any, sock: Any) -> None:
        self._loop.call_soon_threadsafe(self._if_open, self._loop.add_writer, sock, self._write)

    @staticmethod
    def _if_open(watch: Callable[[int, Callable[[], None]], None], sock: Any, call: Callable[[], None]) -> None:
        # Closed before the loop came to it, its number is nobody's or already another's.
        if sock.fileno() >= 0:
            watch(sock.fileno(), call)

    def _on_disconnect(self, *args: Any) -> None:
        super()._on_disconnect(*args)
        if not self._connected.done():
            # aiomqtt would wait 10 s for an answer that cannot come.
            self._connected.set_exception(BrokerLost("the broker closed the connection before it answered"))

    async def _misc_loop(self) -> None:
        while True:
            if not self._is_reading:
                # What is left to the kernel is no silence: a batch that takes longer than the keepalive would end the
                # connection, with the answer to our ping among what is not read.
                self.paho._last_bytes_received = time.monotonic()
                self.paho._ping_t = 0.0
            if self.paho.loop_misc() != mqtt.MQTT_ERR_SUCCESS:
                return
            await asyncio.sleep(_MISC_S)

    def _write(self) -> None:
        try:
            self.paho.loop_write()
        except Exception as error:  # as in _read
            if not self._disconnected.done():
                self._disconnected.set_exception(error)

    def _read(self) -> None:
        self.stream.fill()
        # Else paho takes a connection for dead on which only messages come.
        self.paho._last_bytes_received = time.monotonic()
        try:
            while self.stream.for_paho and self.paho.loop_read() == 0:
                pass
        except Exception as error:  # paho raises whatever its callbacks do; aiomqtt ends the connection likewise
            if not self._disconnected.done():
                self._disconnected.set_exception(error)
        if len(self.stream.arrived) >= WAITING_MOST:
            self.read_if(False)
        self.changed.set()


class Link:
    """One open connection. It ends by raising `BrokerLost` from whatever is called on it."""

    def __init__(self, client: _Client, manual_ack: bool) -> None:
        self._client = client
        self._stream = client.stream
        self._manual_ack = manual_ack
        self._published = 0
        client._disconnected.add_done_callback(lambda _: client.changed.set())

    @property
    def room(self) -> int:
        """How many more may be published before `publish` waits for the broker to confirm some.

        Confirmations may come behind a whole backlog: who waits for one has to take batches meanwhile.
        """
        return _UNCONFIRMED_MOST - (self._published - self._stream.confirmed)

    @property
    def waiting(self) -> int:
        """Messages that have arrived and were not taken."""
        return len(self._stream.arrived)

    async def subscribe(self, filters: Sequence[str]) -> None:
        """Returns when the broker has answered, QoS 1; before that it may send all that a lasting session has."""
        await self._unless_lost(self._client.subscribe([(name, 1) for name in filters], timeout=math.inf))

    async def batch(self, most: int) -> list[Delivery]:
        """Whatever has arrived, at most `most`; waits for the first. A message alone does not wait for company."""
        arrived = self._stream.arrived
        await self._until(lambda: bool(arrived))
        taken = [arrived.popleft() for _ in range(min(most, len(arrived)))]
        if len(arrived) < WAITING_MOST // 2:
            self._client.read_if(True)
        if not self._manual_ack:
            self.ack(taken)
        return taken

    def ack(self, batch: Sequence[Delivery]) -> None:
        """Tells the broker that these are settled. Raises `BrokerLost` for what another connection brought."""
        self._check()
        if any(delivery.connection != self._stream.connection for delivery in batch):
            raise BrokerLost("what an earlier connection brought cannot be acknowledged on this one; it comes again")
        self._write(b"".join([puback(delivery.mid) for delivery in batch if delivery.qos]))

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        """Sends all, in order; waits only for `room`. With none it notices a lost connection."""
        self._check()
        for start in range(0, len(messages), _PUBLISHES_AT_ONCE):
            await self._publish(messages[start : start + _PUBLISHES_AT_ONCE])

    async def _publish(self, some: Sequence[Outgoing]) -> None:
        await self._until(lambda: self.room >= len(some))
        self._write(b"".join([self._packet(one) for one in some]))

    async def confirmed(self) -> None:
        """Returns when the broker has everything that was published so far."""
        published = self._published
        await self._until(lambda: self._stream.confirmed >= published)

    def _packet(self, one: Outgoing) -> bytes:
        if not one.qos:
            return publish(one.topic, one.payload, 0, one.retained, 0)
        self._published += 1
        return publish(one.topic, one.payload, 1, one.retained, self._client.paho._mid_generate())

    def _write(self, packets: bytes) -> None:
        paho = self._client.paho
        if not paho.want_write():
            packets = self._stream.send_now(packets)
        if packets:
            # As a PUBACK paho only writes it, and keeps no books.
            paho._packet_queue(PUBACK, packets, 0, 0)

    async def _until(self, holds: Callable[[], bool]) -> None:
        """Returns when it holds. What came before a loss cannot be acknowledged, and comes again: it counts as lost."""
        self._check()
        while not holds():
            self._client.changed.clear()
            await self._client.changed.wait()
            self._check()

    async def _unless_lost(self, awaited: Awaitable[T]) -> T:
        """What is awaited, or `BrokerLost` as soon as the connection breaks: aiomqtt notices only after 10 s."""
        lost = self._client._disconnected  # what its own iterator waits on
        work = asyncio.ensure_future(awaited)
        try:
            await asyncio.wait((work, lost), return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                return work.result()
        finally:
            if not work.done():
                work.cancel()
                await asyncio.gather(work, return_exceptions=True)
        raise BrokerLost("the connection to the broker was lost") from lost.exception()

    def _check(self) -> None:
        # What came before the end is not worth settling: it cannot be acknowledged and comes again.
        lost = self._client._disconnected
        if lost.done():
            raise BrokerLost("the connection to the broker was lost") from lost.exception()


@contextlib.asynccontextmanager
async def connected(
    address: BrokerAddress,
    account: Account,
    *,
    persistent: bool = False,
    manual_ack: bool = False,
    on_refusal: Callable[[str], None] = lambda _why: None,
) -> AsyncIterator[Link]:
    """A connection, tried until it is there. `persistent`: the broker keeps what arrives while it is away.

    `on_refusal` hears why each try failed.
    """
    client = await _connect(address, account, persistent, on_refusal)
    log.info("broker connected", user=account.user, host=address.host, port=address.port)
    link = Link(client, manual_ack)
    try:
        yield link
        # Closing a socket on which PUBACKs lie unread resets it, and the broker may lose what it has not read.
        with contextlib.suppress(BrokerLost):
            await link.confirmed()
    finally:
        # A broken connection makes leaving fail too; the reason has been raised already.
        with contextlib.suppress(BrokerLost):
            await client.__aexit__(None, None, None)


async def _connect(
    address: BrokerAddress, account: Account, persistent: bool, on_refusal: Callable[[str], None]
) -> _Client:
    async for attempt in stamina.retry_context(
        on=BrokerLost, attempts=None, timeout=None, wait_initial=_FIRST_PAUSE_S, wait_max=_LONGEST_PAUSE_S
    ):
        with attempt:
            client = _client(address, account, persistent)
            try:
                await client.__aenter__()
                # aiomqtt forgets a loss that comes with the broker's answer, and nothing would tell of it ever after.
                if not client.paho.is_connected():
                    raise BrokerLost("the broker closed the connection at once")
            except BrokerLost as error:
                on_refusal(str(error))
                raise
    return client


def _client(address: BrokerAddress, account: Account, persistent: bool) -> _Client:
    client = _Client(
        address.host,
        address.port,
        username=account.user,
        password=account.password,
        identifier=account.user,
        clean_session=not persistent,
        keepalive=_KEEPALIVE_S,
        tls_context=None if address.tls_ca is None else ssl.create_default_context(cafile=address.tls_ca),
        logger=_LIBRARY_LOG,
    )
    client.paho.disable_logger()  # its log calls, several for each packet, are all at debug level
    return client
