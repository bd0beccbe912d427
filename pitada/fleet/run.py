"""A run of a fleet: sign in, order, watch, and judge the ledger at the end or when it is stopped."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import Any

from pitada.demo.summary import Summary, summarise
from pitada.fleet.figures import Figures, figures
from pitada.fleet.orders import Orders
from pitada.process import spare_the_collector
from protocol.states import JOB_ENDS, JOB_STATES
from services.ledger import queries
from services.ledger.database import Database
from simulators.fleet import Fleet
from simulators.truth import FlaskLedger

# Screen refreshes a second: smooth, and little work.
_REFRESH_S = 0.25

# For a dispenser's first sign-in: its jitter, and a broker that is busy with all the others.
_SIGN_IN_S = 120.0

# Open jobs read at once: more than any fleet on one machine has.
_ALL = 100_000

Show = Callable[[Figures], None]


class FleetRun:
    """`before`: what had left the flasks when the fleet was switched on. `orders` None: other people order."""

    def __init__(
        self, fleet: Fleet, orders: Orders | None, database: Database, before: Sequence[FlaskLedger], ramp_s: float
    ) -> None:
        self._fleet = fleet
        self._orders = orders
        self._database = database
        self._before = before
        self._ramp_s = ramp_s
        self._began_s = time.monotonic()

    def figures(self) -> Figures:
        """As they are now."""
        return figures(self._fleet, self._orders, asyncio.get_running_loop().time())

    async def until(self, stop: asyncio.Event, show: Show, *, exit_when_done: bool) -> dict[str, Any]:
        """Runs until it is stopped, or until its jobs have ended with `exit_when_done`. Returns figures and judgement.

        Raises `FleetBroken` when not every dispenser can sign in, and what `Orders.run` and `show` raise.
        """
        stopped = asyncio.create_task(stop.wait())
        showing = asyncio.create_task(self._show(show))
        working = asyncio.create_task(self._work())
        try:
            await _first_of(working, stopped, showing)
            if not working.done():
                working.cancel()
                await asyncio.gather(working, return_exceptions=True)
            elif not exit_when_done:
                await _first_of(stopped, showing)
            return await self._judged()
        finally:
            for task in (stopped, showing, working):
                task.cancel()
            await asyncio.gather(stopped, showing, working, return_exceptions=True)

    async def _work(self) -> None:
        fleet = self._fleet
        await fleet.wait_until(lambda: fleet.signed_in == len(fleet.specs), self._ramp_s + _SIGN_IN_S)
        spare_the_collector()  # to walk all boards of 10,000 would stop them for a second, again and again
        if self._orders is not None:
            await self._orders.run()

    async def _show(self, show: Show) -> None:
        while True:
            show(self.figures())
            await asyncio.sleep(_REFRESH_S)

    async def _judged(self) -> dict[str, Any]:
        """The figures as they are, and the judgement of every dispenser that has no job in hand."""
        now = self.figures()
        busy = await asyncio.to_thread(self._busy)
        seconds = time.monotonic() - self._began_s
        summary = await asyncio.to_thread(summarise, self._database, self._fleet, seconds, self._before, busy)
        return {**asdict(now), **asdict(self._with_items(summary)), "not_judged": len(busy)}

    def _with_items(self, summary: Summary) -> Summary:
        found = tuple(self._orders.divergences) if self._orders else ()
        return replace(summary, divergences=max(summary.divergences, len(found)), problems=(*summary.problems, *found))

    def _busy(self) -> set[str]:
        with self._database.read() as tx:
            still = queries.jobs(tx, states=set(JOB_STATES) - set(JOB_ENDS), limit=_ALL)
        return {job.device for job in still} & {spec.device for spec in self._fleet.specs}


async def _first_of(*tasks: "asyncio.Task[Any]") -> None:
    """Wait until one of them has ended; raises what it raised."""
    ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in ended:
        task.result()
