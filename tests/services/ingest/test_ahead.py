"""What is read ahead is bounded, in order, and taken whole; a message alone waits for nobody."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from services.ingest.ahead import Ahead
from services.memory_broker import MemoryBroker


@contextlib.asynccontextmanager
async def filling(ahead: Ahead, broker: MemoryBroker) -> AsyncIterator[None]:
    async with broker.connect() as link, asyncio.timeout(20):
        task = asyncio.create_task(ahead.fill(link))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def deliver(broker: MemoryBroker, first: int, count: int) -> None:
    for number in range(first, first + count):
        broker.deliver("nobody", b"%d" % number)


async def rest() -> None:
    """Until nothing more happens by itself."""
    for _ in range(200):
        await asyncio.sleep(0)


async def test_a_message_alone_is_taken_at_once() -> None:
    ahead, broker = Ahead(10), MemoryBroker()
    async with filling(ahead, broker):
        deliver(broker, 1, 1)
        assert [one.incoming.payload for one in await ahead.take()] == [b"1"]


async def test_what_came_during_a_commit_is_one_batch_in_order() -> None:
    ahead, broker = Ahead(1000), MemoryBroker()
    async with filling(ahead, broker):
        for first in range(0, 300, 30):
            deliver(broker, first, 30)
            await rest()
        assert [int(one.incoming.payload) for one in await ahead.take()] == list(range(300))


async def test_reading_waits_when_there_is_a_batch_and_goes_on_when_it_is_taken() -> None:
    ahead, broker = Ahead(10), MemoryBroker()
    async with filling(ahead, broker):
        deliver(broker, 0, 25)
        sizes = []
        for _ in range(3):
            await rest()
            sizes.append(len(await ahead.take()))
    assert sizes == [10, 10, 5]
