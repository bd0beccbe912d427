"""Dispensers that work through a workload over real connections, and repeat what was not receipted.

One job at a time: its progress once, its completion until the receipt comes, after every reconnect and every second (a
real one waits 30 s; what is shown is the same).
"""

import asyncio
import contextlib

from protocol import codec, topics
from protocol.messages import CompletionReceived
from services.mqtt import BrokerLost, Link, Outgoing, connected
from tests.chaos.servers import Servers
from tests.chaos.workload import Said, Workload

_REPEAT_S = 1.0


class Repeaters:
    """`async with Repeaters(...)`: they work while the block runs; `finish` lets each end the job in its hand.

    `receipted`: the jobs whose receipt was heard. `said`: every message of every job that was begun.
    """

    def __init__(self, real: Servers, work: Workload) -> None:
        self.receipted: set[str] = set()
        self.said: list[Said] = []
        self._heard = asyncio.Event()
        self._real = real
        self._work = work
        self._stopping = False
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> "Repeaters":
        self._tasks = [asyncio.create_task(self._live(device)) for device in self._work.orders]
        return self

    async def __aexit__(self, *_error: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def finish(self, within_s: float) -> None:
        """Returns when every job that was begun is receipted."""
        self._stopping = True
        async with asyncio.timeout(within_s):
            await asyncio.gather(*self._tasks)

    async def next_receipt(self, within_s: float) -> None:
        """Returns with the next receipt that any of them hears."""
        self._heard.clear()
        async with asyncio.timeout(within_s):
            await self._heard.wait()

    async def _live(self, device: str) -> None:
        queue = list(self._work.orders[device])
        left: list[Said] = []
        while left or (queue and not self._stopping):
            with contextlib.suppress(BrokerLost):
                async with connected(self._real.broker, self._real.account(device)) as link:
                    await link.subscribe([topics.RECEIPT.topic(device)])
                    while left or (queue and not self._stopping):
                        if not left:
                            left = list(self._work.said[queue[0].job])
                            self.said += left
                        await self._report(link, queue[0].job, left)
                        left = []
                        del queue[0]

    async def _report(self, link: Link, job: str, left: list[Said]) -> None:
        """Say what is left to say of the job, and its completion until it is receipted."""
        completion = left[-1]
        while job not in self.receipted:
            while len(left) > 1:
                # Half at a time, so that a loss falls between two of them too.
                some = left[: max(1, len(left) // 2)]
                await link.publish([_outgoing(said) for said in some])
                await link.confirmed()
                del left[: len(some)]
            await link.publish([_outgoing(completion)])
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_REPEAT_S):
                    while job not in self.receipted:
                        for delivery in await link.batch(10):
                            receipt = codec.decode(CompletionReceived, delivery.payload)
                            self.receipted.add(receipt.job)
                            self._heard.set()


def _outgoing(said: Said) -> Outgoing:
    topic, payload = said
    return Outgoing(topic, payload, 1, retained=False)
