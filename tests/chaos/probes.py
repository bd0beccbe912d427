"""How long after its `kill -9` a part serves again, as those whom it serves notice it.

The probes speak to the broker itself, not through the bad network, so that they measure the house alone.
"""

import asyncio
import contextlib
import time

from pitada.local.up import is_well
from protocol import codec, topics
from protocol.messages import CompletionReceived
from services import orders
from services.clock import now_ms
from services.ids import new_id
from services.ledger.database import DatabaseUnavailable
from services.mqtt import BrokerLost, Link, Outgoing, connected
from services.orders import OrderedItem
from simulators.events import OFFLINE, Event
from simulators.fleet import Fleet
from tests.chaos.site import Site

# Nothing recovers as late as this; what is slower has stopped.
_WITHIN_S = 120.0

# A probe asks so often, and no recovery is told more exactly.
_ASK_S = 0.1

# What the probe dispenser opens its flask for: a tenth of a second.
_PROBED_MG = 2_000


class Probes:
    """`async with Probes(site) as probes:` `await probes.recovery_s(victim)` right after a kill; any number at once.

    A database, a broker and ingest serve again when a report that was not said before is receipted; dispatch, when an
    order placed now has opened and closed a flask; the dashboard, when it says that it is well, over HTTP.

    The probe dispenser is restarted whenever it loses its session: by itself it waits up to 10 s after a broker that
    ended one, so that thousands do not come back at once, and dispatch would be blamed for that.
    """

    def __init__(self, site: Site) -> None:
        self.receipted: set[str] = set()
        self._site = site
        (self._reporter,) = site.reports.orders
        self._unsaid = [order.job for order in site.reports.orders[self._reporter]]
        self._waiting: dict[str, asyncio.Future[None]] = {}
        self._fleet = Fleet([site.probe], site.broker.host, site.broker.port, on_event=self._restart_if_offline)
        self._ordering = asyncio.Lock()  # one dispenser works off one order after the other
        self._talking: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Probes":
        await self._fleet.__aenter__()
        self._talking = asyncio.create_task(self._talk())
        return self

    async def __aexit__(self, *error: object) -> None:
        assert self._talking is not None
        self._talking.cancel()
        await asyncio.wait((self._talking,))
        await self._fleet.__aexit__(None, None, None)

    async def recovery_s(self, victim: str) -> float:
        """From now, the moment of the kill, until it serves; what takes `_WITHIN_S` has not come back."""
        killed = time.monotonic()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_WITHIN_S):
                await self._served(victim)
        return time.monotonic() - killed

    async def finish(self) -> None:
        """Report every job that is left, so that all have ended."""
        while self._unsaid:
            await asyncio.gather(*(self._report() for _ in range(min(100, len(self._unsaid)))))

    async def _served(self, victim: str) -> None:
        if victim == "dispatch":
            await self._order()
        elif victim == "dashboard":
            while not await asyncio.to_thread(is_well, self._site.health_urls[victim]):
                await asyncio.sleep(_ASK_S)
        else:
            await self._report()

    async def _report(self) -> None:
        assert self._talking is not None
        job = self._unsaid.pop()
        receipted = self._waiting[job] = asyncio.get_running_loop().create_future()
        await asyncio.wait((receipted, self._talking), return_when=asyncio.FIRST_COMPLETED)
        if not receipted.done():
            self._talking.result()  # it ended, so it broke

    async def _talk(self) -> None:
        while True:
            with contextlib.suppress(BrokerLost):
                async with connected(self._site.broker, self._site.account(self._reporter)) as link:
                    await link.subscribe([topics.RECEIPT.topic(self._reporter)])
                    hearing = asyncio.create_task(self._hear(link))
                    try:
                        while not hearing.done():
                            await link.publish([self._completion(job) for job in self._waiting])
                            await asyncio.sleep(_ASK_S)
                    finally:
                        hearing.cancel()
                        await asyncio.gather(hearing, return_exceptions=True)
                    hearing.result()  # it never ends well

    async def _hear(self, link: Link) -> None:
        while True:
            for delivery in await link.batch(100):
                job = codec.decode(CompletionReceived, delivery.payload).job
                self.receipted.add(job)
                if (waiting := self._waiting.pop(job, None)) is not None:
                    waiting.set_result(None)

    def _completion(self, job: str) -> Outgoing:
        topic, payload = self._site.reports.said[job][-1]
        return Outgoing(topic, payload, 1, retained=False)

    def _restart_if_offline(self, event: Event) -> None:
        board = self._fleet.boards[event.device]
        # Without a core it has just lost its power: that is this restart, or the end.
        if event.kind == OFFLINE and board.core is not None:
            asyncio.get_running_loop().call_soon(board.power_cut, 0)

    async def _order(self) -> None:
        async with self._ordering:
            job = new_id()
            while not await asyncio.to_thread(self._place, job):
                await asyncio.sleep(_ASK_S)
            await self._fleet.wait_until(lambda: bool(self._fleet.truth.of_item(job, 0)), 2 * _WITHIN_S)

    def _place(self, job: str) -> bool:
        items = [OrderedItem(1, _PROBED_MG)]
        try:
            orders.place(
                self._site.database,
                device=self._site.probe.device,
                items=items,
                now_ms=now_ms(),
                job_id=job,
                by="probe",
                idempotency_key=job,
            )
        except DatabaseUnavailable:
            return False
        return True
