"""The subscriber against a broker that goes away and comes back."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from dashboard.live import LiveFeed
from dashboard.subscriber import follow
from services.memory_broker import MemoryBroker, MemoryLink
from tests.dashboard.bench import MemoryLedger, status

DEADLINE_S = 15.0


async def test_the_feed_follows_the_broker_and_says_while_it_is_away(feed: LiveFeed, ledger: MemoryLedger) -> None:
    broker = MemoryBroker()
    reachable = asyncio.Event()

    @asynccontextmanager
    async def connect() -> AsyncIterator[MemoryLink]:
        await reachable.wait()
        async with broker.connect() as link:
            yield link

    def health() -> object:
        return feed._health["broker"]  # what every viewer is told

    async def until_health(expected: str) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while health() != expected:
                await asyncio.sleep(0)  # the feed is told by another task of this loop

    async with feed.watch():
        following = asyncio.create_task(follow(connect, feed))
        try:
            await until_health("unreachable")
            reachable.set()
            await until_health("connected")
            assert broker.filters == ("pitada/v1/#",)
            broker.deliver(*status(online=False))
            async with asyncio.timeout(DEADLINE_S):
                while feed._fleet.dispensers["line-1"].presence.online:
                    await asyncio.sleep(0)  # as above
            reachable.clear()
            broker.lose()
            await until_health("unreachable")
            reachable.set()
            await until_health("connected")
        finally:
            following.cancel()
            with suppress(asyncio.CancelledError):
                await following
