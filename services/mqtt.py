"""A signed-in connection to the broker: connect with back-off, batches, acknowledgement by hand."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import stamina
import structlog

from services.mqtt_connection import ANSWER_S, BrokerLost, Connection, Delivery, Outgoing

__all__ = ["Account", "BrokerAddress", "BrokerLost", "Delivery", "Link", "Outgoing", "connected"]

log = structlog.get_logger(__name__)

# Seconds between tries to reach the broker: soon at first, then often enough that a restart is noticed at once.
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 2.0


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


class Link:
    """One open connection. It ends by raising `BrokerLost` from whatever is called on it."""

    def __init__(self, connection: Connection, *, manual_ack: bool = False) -> None:
        self._connection = connection
        self._manual_ack = manual_ack

    @property
    def telemetry_dropped(self) -> int:
        """QoS 0 messages that came while the buffer was full."""
        return self._connection.telemetry_dropped

    async def subscribe(self, filters: Sequence[str]) -> None:
        """Returns when the broker has granted them, QoS 1."""
        await self._connection.subscribe(filters)

    async def batch(self, most: int) -> list[Delivery]:
        """Whatever has arrived, at most `most`; waits for the first. A message alone does not wait for company."""
        taken = await self._connection.take(most)
        if not self._manual_ack:
            self._connection.acknowledge(taken)
        return taken

    def ack(self, batch: Sequence[Delivery]) -> None:
        """Tells the broker that these are settled. Only for deliveries of this connection."""
        self._connection.acknowledge(batch)

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        """Sends all, in order. Waits while the broker has too many that it has not acknowledged."""
        await self._connection.publish(messages)


@contextlib.asynccontextmanager
async def connected(
    address: BrokerAddress, account: Account, *, persistent: bool = False, manual_ack: bool = False
) -> AsyncIterator[Link]:
    """A connection, tried until it is there. `persistent`: the broker keeps what arrives while it is away.

    Without `manual_ack` a message is acknowledged when it is taken, so the broker's window bounds what lies here.
    """
    connection = await _connect(address, account, persistent)
    log.info("broker connected", user=account.user, host=address.host, port=address.port)
    try:
        yield Link(connection, manual_ack=manual_ack)
    finally:
        await connection.close()


async def _connect(address: BrokerAddress, account: Account, persistent: bool) -> Connection:
    async for attempt in stamina.retry_context(
        on=BrokerLost, attempts=None, timeout=None, wait_initial=_FIRST_PAUSE_S, wait_max=_LONGEST_PAUSE_S
    ):
        with attempt:
            connection = await _open(address)
            try:
                await connection.sign_in(account.user, account.password, clean_session=not persistent)
            except BaseException:
                await connection.close()
                raise
    return connection


async def _open(address: BrokerAddress) -> Connection:
    tls = None if address.tls_ca is None else ssl.create_default_context(cafile=address.tls_ca)
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(ANSWER_S):
            _, connection = await loop.create_connection(Connection, address.host, address.port, ssl=tls)
    except OSError as error:  # a timeout and a refused certificate too
        raise BrokerLost(f"the broker at {address.host}:{address.port} cannot be reached: {error}") from error
    return connection
