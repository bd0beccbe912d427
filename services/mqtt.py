"""A signed-in connection to the broker, over aiomqtt: connect with back-off, batches, acknowledgement by hand.

aiomqtt 2.5 offers neither manual acknowledgement nor its queue, and waits 10 s for a broker that is gone. `Link`
reaches for what it needs of aiomqtt and of paho below it, here and nowhere else; both are pinned.
"""

import asyncio
import contextlib
import itertools
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import NamedTuple, TypeVar

import aiomqtt
import stamina
import structlog

log = structlog.get_logger(__name__)

# Seconds between tries to reach the broker: soon at first, then often enough that a restart is noticed at once.
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 2.0

# A broker that is silent for half as long again is gone.
_KEEPALIVE_S = 15

# Publishes of one batch that wait for the broker at the same time; below Mosquitto's own window of 1,000.
_PUBLISHES_AT_ONCE = 200

# Above so many waiting messages telemetry is dropped: the next one says more. QoS 1 is never dropped. The broker's
# window should bound it, but Mosquitto 2.0.11 was seen to send a reconnected session its whole backlog regardless.
MOST_WAITING = 8_000

# PUBACK and its length, before the packet id.
_PUBACK = b"\x40\x02"

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


class Arrivals(asyncio.Queue[aiomqtt.Message]):
    """aiomqtt's queue, bounded: QoS 0 that finds it full is dropped and counted."""

    def __init__(self, maxsize: int = 0) -> None:
        super().__init__(maxsize)
        self.dropped = 0

    def put_nowait(self, item: aiomqtt.Message) -> None:
        if item.qos == 0 and self.qsize() >= MOST_WAITING:
            self.dropped += 1
        else:
            super().put_nowait(item)


class BufferedSocket:
    """A socket that is read in large portions: paho asks for two bytes and then the rest of each packet.

    Like a TLS socket it has `pending`, so aiomqtt goes on reading until nothing is left in the portion.
    """

    _PORTION_BYTES = 65_536

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._portion = b""
        self._at = 0
        self.send = sock.send
        self.close = sock.close
        self.fileno = sock.fileno

    def recv(self, size: int) -> bytes:
        """At most `size` bytes; raises `BlockingIOError` when there are none yet."""
        if self._at == len(self._portion):
            self._portion = self._sock.recv(self._PORTION_BYTES)
            self._at = 0
        taken = self._portion[self._at : self._at + size]
        self._at += len(taken)
        return taken

    def pending(self) -> int:
        """Bytes that can be had without asking the kernel."""
        return len(self._portion) - self._at


class Link:
    """One open connection. It ends by raising `BrokerLost` from whatever is called on it."""

    def __init__(self, client: aiomqtt.Client) -> None:
        self._client = client
        self._number = next(_numbers)
        queue = client._queue  # its iterator takes one at a time
        assert isinstance(queue, Arrivals)
        self._arrived = queue

    @property
    def telemetry_dropped(self) -> int:
        """QoS 0 messages that came while too many waited."""
        return self._arrived.dropped

    async def subscribe(self, filters: Sequence[str]) -> None:
        """Returns when the broker has answered, QoS 1."""
        await self._unless_lost(self._client.subscribe([(name, 1) for name in filters]))

    async def batch(self, most: int) -> list[Delivery]:
        """Whatever has arrived, at most `most`; waits for the first. A message alone does not wait for company."""
        self._check()
        taken = [] if not self._arrived.empty() else [await self._unless_lost(self._arrived.get())]
        while len(taken) < most and not self._arrived.empty():
            taken.append(self._arrived.get_nowait())
        number = self._number
        return [Delivery(one.topic.value, one.payload, one.qos, one.mid, one.retain, number) for one in taken]

    def ack(self, batch: Sequence[Delivery]) -> None:
        """Tells the broker that these are settled. Raises `BrokerLost` for what another connection brought."""
        self._check()
        if any(delivery.connection != self._number for delivery in batch):
            raise BrokerLost("what an earlier connection brought cannot be acknowledged on this one; it comes again")
        # Not offered by aiomqtt; paho's own `ack` would make a packet, and a write, of each.
        acks = b"".join([_PUBACK + delivery.mid.to_bytes(2, "big") for delivery in batch if delivery.qos])
        if acks:
            self._client._client._packet_queue(_PUBACK[0], acks, 0, 0)

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        """Sends all, in order, and waits until the broker has them. With none it still notices a lost connection."""
        self._check()
        for start in range(0, len(messages), _PUBLISHES_AT_ONCE):
            *some, last = messages[start : start + _PUBLISHES_AT_ONCE]
            for one in some:
                self._check()
                self._client._client.publish(one.topic, one.payload, one.qos, one.retained)
            # A broker acknowledges in order: who has the last has them all.
            await self._unless_lost(self._client.publish(last.topic, last.payload, qos=last.qos, retain=last.retained))

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
    client = await _connect(address, account, persistent, manual_ack, on_refusal)
    log.info("broker connected", user=account.user, host=address.host, port=address.port)
    try:
        yield Link(client)
    finally:
        # A broken connection makes leaving fail too; the reason has been raised already.
        with contextlib.suppress(BrokerLost):
            await client.__aexit__(None, None, None)


async def _connect(
    address: BrokerAddress, account: Account, persistent: bool, manual_ack: bool, on_refusal: Callable[[str], None]
) -> aiomqtt.Client:
    async for attempt in stamina.retry_context(
        on=BrokerLost, attempts=None, timeout=None, wait_initial=_FIRST_PAUSE_S, wait_max=_LONGEST_PAUSE_S
    ):
        with attempt:
            client = _client(address, account, persistent)
            client._client.manual_ack_set(manual_ack)  # not offered by aiomqtt
            try:
                await client.__aenter__()
                # aiomqtt forgets a loss that comes with the broker's answer, and nothing would tell of it ever after.
                if not client._client.is_connected():
                    raise BrokerLost("the broker closed the connection at once")
            except BrokerLost as error:
                on_refusal(str(error))
                raise
            client._client._sock = BufferedSocket(client._client.socket())  # type: ignore[assignment,arg-type]  # paho asks for no more of it
    return client


def _client(address: BrokerAddress, account: Account, persistent: bool) -> aiomqtt.Client:
    client = aiomqtt.Client(
        address.host,
        address.port,
        username=account.user,
        password=account.password,
        identifier=account.user,
        clean_session=not persistent,
        keepalive=_KEEPALIVE_S,
        queue_type=Arrivals,
        # Without it the kernel holds a small packet back until the one before is confirmed: 40 ms for each receipt.
        socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
        max_inflight_messages=_PUBLISHES_AT_ONCE,
        tls_context=None if address.tls_ca is None else ssl.create_default_context(cafile=address.tls_ca),
        logger=_LIBRARY_LOG,
    )
    client._client.disable_logger()  # its log calls, several for each message, are all at debug level
    return client
