"""What a connection says when the broker goes away in the middle of something."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from services.mqtt import Account, BrokerAddress, BrokerLost, Outgoing, connected

# aiomqtt alone notices after 10 s that a publish will never be confirmed.
SOON_S = 5.0

_CONNACK = b"\x20\x02\x00\x00"


@contextlib.asynccontextmanager
async def broker_that_dies(packets: int) -> AsyncIterator[BrokerAddress]:
    """Takes the connection, and closes it at that packet after CONNECT, unanswered."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1024)
        writer.write(_CONNACK)
        for _ in range(packets):
            await reader.read(1024)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield BrokerAddress("127.0.0.1", server.sockets[0].getsockname()[1])


async def test_a_publish_that_nobody_will_confirm_ends_with_the_connection() -> None:
    async with asyncio.timeout(SOON_S), broker_that_dies(1) as address:
        with pytest.raises(BrokerLost):
            async with connected(address, Account("svc_ingest", "x")) as link:
                await link.publish([Outgoing("pitada/v1/d-1/job/receipt", b"{}", 1, retained=False)])


async def test_a_subscribe_that_nobody_will_confirm_ends_with_the_connection() -> None:
    async with asyncio.timeout(SOON_S), broker_that_dies(1) as address:
        with pytest.raises(BrokerLost):
            async with connected(address, Account("svc_ingest", "x")) as link:
                await link.subscribe(["pitada/v1/+/status"])


async def test_waiting_for_messages_ends_with_the_connection() -> None:
    async with asyncio.timeout(SOON_S), broker_that_dies(1) as address:
        with pytest.raises(BrokerLost):
            async with connected(address, Account("svc_ingest", "x")) as link:
                asking = asyncio.create_task(link.subscribe(["pitada/v1/+/status"]))
                await asyncio.gather(link.batch(10), asking)


async def test_a_connection_that_is_closed_as_soon_as_it_is_accepted_is_tried_again() -> None:
    tries = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal tries
        tries += 1
        await reader.read(1024)
        writer.write(_CONNACK)
        if tries > 1:
            await reader.read(1024)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with asyncio.timeout(SOON_S), server:
        address = BrokerAddress("127.0.0.1", server.sockets[0].getsockname()[1])
        async with connected(address, Account("svc_ingest", "x")):
            pass
    assert tries == 2
