"""Services as processes that can be killed between any two of their steps."""

import asyncio
import contextvars
import random
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any

from services.mqtt import BrokerLost, Delivery, Outgoing
from simulators.world.broker import Broker
from simulators.world.connections import LinkCut, ServiceLink
from simulators.world.loop import VirtualLoop

# How long a worker thread waits for its turn, and its caller for the answer: mostly soon, now and then a disk that has
# other things to do.
_WORK_MS = (0.5, 120)

# Between two tries to reach the broker.
_RETRY_S = 0.7

_process: contextvars.ContextVar["Process"] = contextvars.ContextVar("process")


class Process:
    """One service. `kill` is kill -9: what it had not done is not done, and nothing of it runs on."""

    def __init__(self, loop: VirtualLoop, name: str, run: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self.name = name
        self.is_alive = False
        self.links: list[ServiceLink] = []
        self._loop = loop
        self._run = run
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        if not self.is_alive:
            self.is_alive = True
            context = contextvars.copy_context()
            context.run(_process.set, self)
            self._task = self._loop.create_task(self._run(), context=context)

    @property
    def ended(self) -> str | None:
        """How it came to an end that nobody gave it; None: it runs, or was killed."""
        task = self._task
        if not self.is_alive or task is None or not task.done():
            return None
        return f"{self.name} ended: {task.exception()!r}"

    def kill(self) -> None:
        self.is_alive = False
        for link in self.links:
            link.close()
        self.links.clear()
        if self._task is not None:
            self._task.cancel()


def worker(loop: VirtualLoop, rng: random.Random) -> Callable[[Callable[[], Any], asyncio.Future[Any]], None]:
    """Worker threads: a function runs after a while, at once and whole; its caller hears of it after another while.

    Its process may be killed before, so that it never runs, or between, so that nobody learns what it did.
    """

    def latency_s() -> float:
        low, high = _WORK_MS
        return (low + rng.random() ** 2 * (high - low)) / 1000

    def work(call: Callable[[], Any], future: asyncio.Future[Any]) -> None:
        process = _process.get()

        def begin() -> None:
            if not process.is_alive:
                return
            try:
                result, error = call(), None
            except Exception as raised:  # it is the caller's, whatever it is
                result, error = None, raised
            loop.call_later(latency_s(), end, result, error)

        def end(result: Any, error: Exception | None) -> None:
            if future.done():
                return
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(result)

        loop.call_later(latency_s(), begin)

    return work


class WorldLink:
    """`services.mqtt.Link` in this world. `on_publish` and `on_ack` hear what is about to go out."""

    def __init__(
        self,
        link: ServiceLink,
        on_publish: Callable[[Outgoing], None],
        on_ack: Callable[[Sequence[Delivery]], None],
    ) -> None:
        self._link = link
        self._on_publish = on_publish
        self._on_ack = on_ack

    @property
    def room(self) -> int:
        return 60_000

    async def subscribe(self, filters: Sequence[str]) -> None:
        with _lost():
            await self._link.subscribe(filters)

    async def batch(self, most: int) -> list[Delivery]:
        with _lost():
            arrived = await self._link.batch(most)
        return [Delivery(one.topic, one.payload, one.qos, one.number, one.retained) for one in arrived]

    def ack(self, batch: Sequence[Delivery]) -> None:
        self._on_ack(batch)
        with _lost():
            self._link.ack([one.mid for one in batch if one.qos])

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        for one in messages:
            self._on_publish(one)
            with _lost():
                self._link.publish(one.topic, one.payload, one.qos, one.retained)


class _lost:  # noqa: N801  # a context manager, used as one; as a generator it took a tenth of a run
    """The link's own words for a lost broker."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, LinkCut):
            raise BrokerLost(str(error)) from error


@asynccontextmanager
async def connected(
    broker: Broker,
    loop: VirtualLoop,
    rng: random.Random,
    *,
    name: str,
    lasting: bool,
    on_publish: Callable[[Outgoing], None] = lambda _one: None,
    on_ack: Callable[[Sequence[Delivery]], None] = lambda _batch: None,
) -> AsyncIterator[WorldLink]:
    """As `services.mqtt.connected`: wait for the broker, sign in, and let go at the end."""
    process = _process.get()
    while not broker.up:
        await asyncio.sleep(_RETRY_S)
    link = ServiceLink(broker, name, lasting, loop, rng)
    process.links.append(link)
    try:
        yield WorldLink(link, on_publish, on_ack)
    finally:
        if link in process.links:
            process.links.remove(link)
        link.close()
