"""What a connection says when the broker goes away in the middle of something."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from services.mqtt import Account, BrokerAddress, BrokerLost, Link, Outgoing, connected

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


async def publish(link: Link) -> None:
    await link.publish([Outgoing("pitada/v1/d-1/job/receipt", b"{}", 1, retained=False)])


async def subscribe(link: Link) -> None:
    await link.subscribe(["pitada/v1/+/status"])


async def wait_for_messages(link: Link) -> None:
    asking = asyncio.create_task(subscribe(link))
    try:
        await link.batch(10)
    finally:
        await asyncio.gather(asking, return_exceptions=True)


@pytest.mark.parametrize("act", [publish, subscribe, wait_for_messages])
async def test_what_nobody_will_answer_ends_with_the_connection(act: Callable[[Link], Awaitable[None]]) -> None:
    async with (
        asyncio.timeout(SOON_S),
        broker_that_dies(1) as address,
        connected(address, Account("svc_ingest", "x")) as link,
    ):
        with pytest.raises(BrokerLost):
            await act(link)


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
