"""A signed-in connection to the broker, over aiomqtt: connect with back-off, batches, acknowledgement by hand.

aiomqtt 2.5 offers neither manual acknowledgement nor its queue. `Link` reaches for both, here and nowhere else.
"""

import asyncio
import contextlib
import logging
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import aiomqtt
import stamina
import structlog

log = structlog.get_logger(__name__)

# Seconds between tries to reach the broker: soon at first, then often enough that a restart is noticed at once.
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 2.0

# Publishes of one batch that wait for the broker at the same time; below Mosquitto's own window of 1,000.
_PUBLISHES_AT_ONCE = 200

# aiomqtt logs each lost connection as an error with a trace; `connected` says the same in one line.
_LIBRARY_LOG = logging.getLogger("pitada.mqtt")
_LIBRARY_LOG.setLevel(logging.CRITICAL)

BrokerLost = aiomqtt.MqttError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """Where the broker listens. `tls_ca` is a file of certificates to trust; None: no TLS, for loopback only."""

    host: str
    port: int
    tls_ca: str | None = None


@dataclass(frozen=True, slots=True)
class Account:
    """A service's own account: user name (and so client id) and password."""

    user: str
    password: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message from the broker. `mid` is what acknowledges it, on the connection that brought it only."""

    topic: str
    payload: bytes
    qos: int
    mid: int
    retained: bool = False


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message for the broker."""

    topic: str
    payload: bytes
    qos: int
    retained: bool


class Link:
    """One open connection. It ends by raising `BrokerLost` from whatever is awaited on it."""

    def __init__(self, client: aiomqtt.Client) -> None:
        self._client = client
        self._arrived: asyncio.Queue[aiomqtt.Message] = client._queue  # its iterator takes one at a time

    async def subscribe(self, filters: Sequence[str]) -> None:
        await self._unless_lost(self._client.subscribe([(name, 1) for name in filters]))

    async def batch(self, most: int) -> list[Delivery]:
        """Whatever has arrived, at most `most`; waits for the first. A message alone does not wait for company."""
        first = await self._first()
        batch = [_delivery(first)]
        while len(batch) < most and not self._arrived.empty():
            batch.append(_delivery(self._arrived.get_nowait()))
        return batch

    def ack(self, batch: Sequence[Delivery]) -> None:
        """Tells the broker that these are settled. Only for deliveries of this connection."""
        for delivery in batch:
            self._client._client.ack(delivery.mid, delivery.qos)  # not offered by aiomqtt

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        """Sends all and waits until the broker has each that is QoS 1. With none it still notices a lost connection."""
        lost = self._client._disconnected
        if lost.done():
            raise BrokerLost("the connection to the broker was lost") from lost.exception()
        for start in range(0, len(messages), _PUBLISHES_AT_ONCE):
            some = messages[start : start + _PUBLISHES_AT_ONCE]
            await self._unless_lost(
                asyncio.gather(
                    *(self._client.publish(one.topic, one.payload, qos=one.qos, retain=one.retained) for one in some)
                )
            )

    async def _first(self) -> aiomqtt.Message:
        if not self._arrived.empty():
            return self._arrived.get_nowait()
        return await self._unless_lost(self._arrived.get())

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
    return client


def _client(address: BrokerAddress, account: Account, persistent: bool) -> aiomqtt.Client:
    client = aiomqtt.Client(
        address.host,
        address.port,
        username=account.user,
        password=account.password,
        identifier=account.user,
        clean_session=not persistent,
        keepalive=15,
        max_inflight_messages=_PUBLISHES_AT_ONCE,
        tls_context=None if address.tls_ca is None else ssl.create_default_context(cafile=address.tls_ca),
        logger=_LIBRARY_LOG,
    )
    client.pending_calls_threshold = _PUBLISHES_AT_ONCE
    return client


def _delivery(message: aiomqtt.Message) -> Delivery:
    return Delivery(message.topic.value, message.payload, message.qos, message.mid, message.retain)
