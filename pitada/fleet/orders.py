"""A user who orders for a whole fleet: places jobs through the API at a rate, and watches there how they end.

Every job that ended is judged at once: what the API says of each item against what left the flask.
"""

import asyncio
import random
from collections import Counter, deque
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from pitada.fleet.api import Api, ApiRefused, ApiUnreachable, Item
from protocol.states import JOB_ENDS
from services.ids import new_id
from services.ledger.views import ItemView, JobView
from simulators.flask import flowed_mg
from simulators.fleet import DispenserSpec, Fleet
from simulators.servos import MAX_LATE_MS

T = TypeVar("T")

# How long a flask stays open: long enough that faults hit it, short enough for many jobs.
_OPEN_MS = (100, 800)

# Requests of orders under way at once: as many as a few people make.
_AT_ONCE = 4

# How often the jobs are looked at.
_LOOK_S = 0.5

# The newest jobs are read in pages; what lies deeper is asked for one by one, a few at each look.
_PAGE = 200
_PAGES = 5
_ASKED_FOR = 20

# What the present state does not allow, an empty flask say: a user orders something else.
_NOT_NOW = 409

# How long a dashboard may be away before the run is given up, and how often it is tried.
_AWAY_S = 60.0
_TRY_AGAIN_S = 0.5

# The latest measurements, for percentiles.
_KEPT = 20_000

# Items whose amounts are kept until their job is judged. Those of other people's jobs never are.
_KEPT_POURED = 200_000

# A job of four flasks takes seconds; after an outage a dispenser repeats its report within half a minute.
_START_S = 120.0
_EACH_S = 10.0


class OrdersStuck(Exception):
    """The jobs did not all end in time, or the dashboard went away."""


class Orders:
    """`jobs` None: without end. `per_s` None: as fast as the API takes them."""

    def __init__(self, api: Api, fleet: Fleet, *, jobs: int | None, per_s: float | None, seed: int) -> None:
        self.placed = 0
        self.ended = 0
        self.refused = 0
        self.settled_ms: deque[int] = deque(maxlen=_KEPT)
        self.ended_at_s: deque[float] = deque(maxlen=_KEPT)
        self.divergences: list[str] = []
        self._api = api
        self._fleet = fleet
        self._jobs = jobs
        self._per_s = per_s
        self._run = new_id()
        self._rng = random.Random(f"{seed}/orders")  # noqa: S311  # which flasks, not a secret
        self._turn = self._rng.sample(fleet.specs, len(fleet.specs))
        self._open: dict[str, JobView] = {}
        self._poured: Counter[tuple[str, int]] = Counter()  # mg of each item of jobs that are not judged yet
        self._openings_seen = fleet.truth.openings_total

    async def run(self) -> None:
        """Returns when every job has ended. Raises, in a group, `OrdersStuck` or `ApiRefused`."""
        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(self._watch())
            await self._place_all()
            within_s = _START_S + _EACH_S * ((self._jobs or 0) // len(self._turn) + 1)
            try:
                async with asyncio.timeout(within_s):
                    while self._open:
                        await asyncio.sleep(_LOOK_S)
            except TimeoutError:
                raise OrdersStuck(f"{len(self._open)} of {self.placed} jobs have not ended in time.") from None
            watching.cancel()

    async def _place_all(self) -> None:
        """Each at its time: a slow answer delays no other as long as a few are under way."""
        loop = asyncio.get_running_loop()
        room = asyncio.Semaphore(_AT_ONCE)
        began_s = loop.time()
        number = 0
        async with asyncio.TaskGroup() as tasks:
            while self._jobs is None or number < self._jobs:
                if self._per_s is not None:
                    await asyncio.sleep(max(0.0, began_s + number / self._per_s - loop.time()))
                await room.acquire()
                tasks.create_task(self._place(number, room))
                number += 1

    async def _place(self, number: int, room: asyncio.Semaphore) -> None:
        spec = self._turn[number % len(self._turn)]
        items = self._items(spec)
        try:
            job = await self._patiently(partial(self._api.place, spec.device, items, f"{self._run}-{number}"))
        except ApiRefused as refused:
            if refused.status != _NOT_NOW:
                raise
            self.refused += 1
            return
        finally:
            room.release()
        self.placed += 1
        self._open[job.job] = job

    def _items(self, spec: DispenserSpec) -> list[Item]:
        flasks = self._rng.sample(list(spec.flasks), self._rng.randint(1, len(spec.flasks)))
        return [Item(one.flask, one.flow_mg_per_s * self._rng.randint(*_OPEN_MS) // 1000) for one in flasks]

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_S)
            for job in await self._look():
                if job.state in JOB_ENDS and job.job in self._open:
                    del self._open[job.job]
                    self._end(job)

    async def _look(self) -> list[JobView]:
        """The open jobs as the API shows them now, as many as can be seen at one look."""
        missing = set(self._open)
        found: list[JobView] = []
        before: str | None = None
        for _ in range(_PAGES):
            if not missing:
                return found
            page = await self._patiently(partial(self._api.jobs, _PAGE, before))
            found += [job for job in page if job.job in missing]
            missing -= {job.job for job in page}
            if len(page) < _PAGE:
                return found
            before = page[-1].job
        for job in sorted(missing)[:_ASKED_FOR]:  # the longest open ones
            found.append(await self._patiently(partial(self._api.job, job)))
        return found

    def _end(self, job: JobView) -> None:
        self.ended += 1
        self.ended_at_s.append(asyncio.get_running_loop().time())
        if job.ended_at_ms is not None:
            self.settled_ms.append(max(0, job.ended_at_ms - job.placed_at_ms))
        truth = self._fleet.truth
        for opening in truth.after(self._openings_seen):
            if opening.job is not None and opening.item is not None:
                self._poured[opening.job, opening.item] += opening.mg
        self._openings_seen = truth.openings_total
        while len(self._poured) > _KEPT_POURED:
            del self._poured[next(iter(self._poured))]
        for item in job.items:
            left_mg = self._poured.pop((job.job, item.item), 0)
            if not allowed(item, left_mg, self._flow_mg_per_s(job.device, item.flask)):
                self.divergences.append(
                    f"job {job.job} item {item.item}: {left_mg} mg left flask {item.flask}, it is {item.state} with "
                    f"{item.dispensed_mg} mg"
                )

    def _flow_mg_per_s(self, device: str, flask: int) -> int:
        return self._fleet.boards[device].hardware.flasks[flask].flow_mg_per_s

    async def _patiently(self, call: Callable[[], T]) -> T:
        """The answer, also from a dashboard that is away for a moment."""
        why = "The dashboard has not answered."
        try:
            async with asyncio.timeout(_AWAY_S):
                while True:
                    try:
                        return await asyncio.to_thread(call)
                    except ApiUnreachable as error:
                        why = str(error)
                    await asyncio.sleep(_TRY_AGAIN_S)
        except TimeoutError:
            raise OrdersStuck(f"{why} It was tried for {_AWAY_S:.0f} s.") from None


def allowed(item: ItemView, left_mg: int, flow_mg_per_s: int) -> bool:
    """Whether the ledger's word on an item agrees with what left the flask for it.

    In doubt is from nothing to the target, and what flows while the gate is late to close.
    """
    if item.state == "in_doubt":
        return 0 <= left_mg <= item.target_mg + flowed_mg(MAX_LATE_MS + 1, flow_mg_per_s)
    return left_mg == (item.dispensed_mg or 0)
