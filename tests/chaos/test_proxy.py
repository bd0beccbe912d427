"""A network that fails on order: what each fault does to the two ends."""

import asyncio
import contextlib
import random
import socket
from collections.abc import AsyncIterator

import pytest

from tests.chaos.proxy import FaultProxy

# Long enough for anything on loopback, and what a test waits for that must not come.
_SOON_S = 5.0
_NOTHING_S = 0.2


Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Broker:
    """Listens, and keeps the streams of every connection in the order of arrival; `dispensers` are the other ends."""

    def __init__(self) -> None:
        self.port = 0
        self.arrived: list[Streams] = []
        self.dispensers: list[Streams] = []

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.arrived.append((reader, writer))


@pytest.fixture
async def broker() -> AsyncIterator[Broker]:
    taking = Broker()
    server = await asyncio.start_server(taking.take, "127.0.0.1", 0)
    taking.port = server.sockets[0].getsockname()[1]
    yield taking
    for _, writer in taking.arrived + taking.dispensers:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
    server.close()
    await server.wait_closed()


@pytest.fixture
async def proxy(broker: Broker) -> AsyncIterator[FaultProxy]:
    async with FaultProxy("127.0.0.1", broker.port, random.Random(1)) as running:
        yield running


class Pair:
    """A dispenser's connection through the proxy, and the broker's end of it."""

    def __init__(self, dispenser: Streams, broker: Streams) -> None:
        (self.hears, self.says), (self.broker_hears, self.broker_says) = dispenser, broker


async def connect(proxy: FaultProxy, broker: Broker) -> Pair:
    known = len(broker.arrived)
    dispenser = await open_to(proxy, broker)
    async with asyncio.timeout(_SOON_S):
        while len(broker.arrived) == known:
            await asyncio.sleep(0.001)
    return Pair(dispenser, broker.arrived[known])


async def open_to(proxy: FaultProxy, broker: Broker) -> Streams:
    broker.dispensers.append(await asyncio.open_connection("127.0.0.1", proxy.port))
    return broker.dispensers[-1]


async def heard(reader: asyncio.StreamReader, count: int) -> bytes:
    async with asyncio.timeout(_SOON_S):
        return await reader.readexactly(count)


async def is_silent(reader: asyncio.StreamReader) -> bool:
    """Neither a byte nor an end comes."""
    try:
        async with asyncio.timeout(_NOTHING_S):
            await reader.read(1)
    except TimeoutError:
        return True
    return False


async def test_what_was_said_before_the_broker_was_reached_arrives(proxy: FaultProxy, broker: Broker) -> None:
    with socket.create_connection(("127.0.0.1", proxy.port)) as dispenser:
        dispenser.sendall(b"connect")
        async with asyncio.timeout(_SOON_S):
            while not broker.arrived:
                await asyncio.sleep(0.001)
        assert await heard(broker.arrived[0][0], 7) == b"connect"


async def test_both_ways_pass_whole_and_an_end_in_good_order_is_one(proxy: FaultProxy, broker: Broker) -> None:
    pair = await connect(proxy, broker)
    much = bytes(range(256)) * 8192
    pair.says.write(much)
    assert await heard(pair.broker_hears, len(much)) == much
    pair.broker_says.write(b"last words")
    pair.broker_says.close()
    assert await heard(pair.hears, 10) == b"last words"
    assert await pair.hears.read() == b""


async def test_a_cut_resets_both_ends(proxy: FaultProxy, broker: Broker) -> None:
    pair = await connect(proxy, broker)
    proxy.cut(1)
    for reader in (pair.hears, pair.broker_hears):
        with pytest.raises(ConnectionResetError):
            await heard(reader, 1)
    assert (proxy.connections, proxy.faults["cut"], proxy.struck["cut"]) == (0, 1, 1)


async def test_a_cut_of_some_leaves_the_others_and_the_seed_says_which(broker: Broker) -> None:
    struck = []
    for _ in range(2):
        async with FaultProxy("127.0.0.1", broker.port, random.Random(7)) as proxy:
            pairs = [await connect(proxy, broker) for _ in range(6)]
            proxy.cut(0.5)
            assert proxy.connections == 3
            for pair in pairs:
                pair.says.write(b"x")
            arrived = [await pair.broker_hears.read(1) if not await is_lost(pair) else b"" for pair in pairs]
            struck.append(arrived)
    assert struck[0] == struck[1]
    assert struck[0].count(b"x") == 3


async def is_lost(pair: Pair) -> bool:
    try:
        return not await is_silent(pair.hears)
    except ConnectionResetError:
        return True


async def test_half_open_neither_end_hears_anything_and_afterwards_everything(
    proxy: FaultProxy, broker: Broker
) -> None:
    pair = await connect(proxy, broker)
    proxy.half_open(1, for_s=3 * _NOTHING_S)
    pair.says.write(b"a report")
    pair.broker_says.write(b"an order")
    assert await is_silent(pair.broker_hears)
    assert await is_silent(pair.hears)
    assert await heard(pair.broker_hears, 8) == b"a report"
    assert await heard(pair.hears, 8) == b"an order"


async def test_half_open_an_end_that_leaves_is_noticed_only_when_it_is_over(proxy: FaultProxy, broker: Broker) -> None:
    pair = await connect(proxy, broker)
    proxy.half_open(1, for_s=2 * _NOTHING_S)
    pair.says.transport.abort()
    assert await is_silent(pair.broker_hears)
    async with asyncio.timeout(_SOON_S):
        assert await pair.broker_hears.read() == b""


async def test_slow_bytes_come_late_and_in_order_until_it_is_over(proxy: FaultProxy, broker: Broker) -> None:
    pair = await connect(proxy, broker)
    proxy.slow(1, for_s=3 * _NOTHING_S, delay_s=2 * _NOTHING_S)
    pair.says.write(b"first ")
    assert await is_silent(pair.broker_hears)
    pair.says.write(b"second")
    assert await heard(pair.broker_hears, 12) == b"first second"
    before_s = asyncio.get_running_loop().time()
    while not await is_quick(pair):
        assert asyncio.get_running_loop().time() < before_s + _SOON_S
    assert await is_quick(pair)


async def is_quick(pair: Pair) -> bool:
    pair.says.write(b"x")
    quick = not await is_silent(pair.broker_hears)
    if not quick:
        await heard(pair.broker_hears, 1)
    return quick


async def test_refused_are_the_new_ones_only_and_only_for_a_while(proxy: FaultProxy, broker: Broker) -> None:
    pair = await connect(proxy, broker)
    proxy.refuse(_NOTHING_S)
    reader, _ = await open_to(proxy, broker)
    with pytest.raises(ConnectionResetError):
        await heard(reader, 1)
    pair.says.write(b"still here")
    assert await heard(pair.broker_hears, 10) == b"still here"
    assert proxy.struck["refuse"] == 1
    assert await is_silent(pair.hears)
    await connect(proxy, broker)


async def test_without_a_broker_a_connection_is_reset(broker: Broker) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    async with FaultProxy("127.0.0.1", port, random.Random(1)) as proxy:
        reader, _ = await open_to(proxy, broker)
        with pytest.raises(ConnectionResetError):
            await heard(reader, 1)
