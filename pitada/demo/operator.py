"""The demo's operator: orders by a seed, changes a mind now and then, and retries what failed.

Works like a person: reads the ledger, decides, calls the same services as the dashboard.
"""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass

from pitada.demo.kitchen import KITCHEN
from protocol.states import JOB_ENDS
from services import orders
from services.clock import now_ms
from services.ids import new_id
from services.ledger import queries
from services.ledger.database import Database
from services.ledger.views import JobView
from services.orders import OrderedItem

BY = "demo"

# How long a flask of the demo stays open: long enough to watch, short enough to see many.
_OPEN_MS = (300, 1200)

# A dispenser's queue: one in hand and one waiting.
_OPEN_JOBS = 2

# How often the operator looks.
_LOOK_S = 0.1

# A job whose flasks fail again and again is left to a person.
_RETRIES = 2

# An order that nobody may take in time.
_SHORT_EXPIRY_MS = 100


@dataclass(frozen=True)
class Plan:
    """Which of the ordered jobs get special treatment, by their position from 0."""

    cancel_queued: int
    cancel_running: int
    expire: int
    uncalibrated: int


class Operator:
    """Orders jobs on the demo's dispensers. `on_change(ordered, ended)` hears of the progress."""

    def __init__(self, database: Database, seed: int, on_change: Callable[[int, int], None]) -> None:
        self._database = database
        self._rng = random.Random(f"{seed}/operator")  # noqa: S311  # the same run again, not secrecy
        self._on_change = on_change
        self._ordered: list[str] = []
        self._retried: dict[str, int] = {}
        self._stop_when_running: set[str] = set()

    async def order(self, jobs: int | None) -> None:
        """Orders so many jobs (None: for ever) and returns when every one, and every retry, has ended."""
        plan = _plan(jobs)
        while jobs is None or len(self._ordered) < jobs or await asyncio.to_thread(self._work_left):
            await asyncio.to_thread(self._look, plan, jobs)
            await asyncio.sleep(_LOOK_S)

    def _look(self, plan: Plan, jobs: int | None) -> None:
        with self._database.read() as tx:
            recent = queries.jobs(tx, limit=100)
        open_jobs = [job for job in recent if job.state not in JOB_ENDS]
        for job in recent:
            self._tend(job)
        for device in KITCHEN:
            waiting = sum(job.device == device for job in open_jobs)
            if (jobs is None or len(self._ordered) < jobs) and waiting < _OPEN_JOBS:
                self._place(device, plan, busy=waiting > 0)
        self._on_change(len(self._ordered), len(self._ordered) - len(open_jobs))

    def _place(self, device: str, plan: Plan, *, busy: bool) -> None:
        position = len(self._ordered)
        special = position in (plan.cancel_queued, plan.expire)
        if special and not busy:
            # Only behind another job is it certain to wait: place an ordinary one first.
            self._order(device, self._items(device, 3))
            return
        if position == plan.uncalibrated:
            uncalibrated = next(name for name, (_, flasks) in KITCHEN.items() if flasks[-1].flow_mg_per_s == 0)
            self._order(uncalibrated, [OrderedItem(len(KITCHEN[uncalibrated][1]), 1_000)])
        elif position == plan.expire:
            self._order(device, self._items(device, 1), expires_in_ms=_SHORT_EXPIRY_MS)
        else:
            job = self._order(device, self._items(device, 3 if position == plan.cancel_running else None))
            if position == plan.cancel_queued:
                orders.cancel(self._database, job.job, by=BY, now_ms=now_ms())
            elif position == plan.cancel_running:
                self._stop_when_running.add(job.job)

    def _tend(self, job: JobView) -> None:
        """Stops a running job that was chosen for it; retries what a jam or a missing calibration left."""
        if job.job in self._stop_when_running and job.items[0].state == "done":
            self._stop_when_running.discard(job.job)
            if job.state not in JOB_ENDS:
                orders.cancel(self._database, job.job, by=BY, now_ms=now_ms())
        jammed = any(item.error == "jammed" for item in job.items)
        if jammed and job.state in JOB_ENDS and job.job not in self._retried:
            tries = self._retried.get(job.retry_of or "", 0) + 1
            self._retried[job.job] = tries
            if tries <= _RETRIES:
                orders.retry(self._database, job.job, now_ms=now_ms(), new_job_id=new_id(), by=BY)

    def _items(self, device: str, count: int | None) -> list[OrderedItem]:
        flasks = KITCHEN[device][1]
        usable = [number for number, flask in enumerate(flasks, start=1) if flask.flow_mg_per_s]
        chosen = self._rng.sample(usable, count or self._rng.randint(1, len(usable)))
        return [
            OrderedItem(number, flasks[number - 1].flow_mg_per_s * self._rng.randint(*_OPEN_MS) // 1000)
            for number in chosen
        ]

    def _order(self, device: str, items: list[OrderedItem], expires_in_ms: int | None = None) -> JobView:
        now = now_ms()
        job = orders.place(
            self._database,
            device=device,
            items=items,
            now_ms=now,
            job_id=new_id(),
            by=BY,
            expires_at_ms=None if expires_in_ms is None else now + expires_in_ms,
        )
        self._ordered.append(job.job)
        return job

    def _work_left(self) -> bool:
        with self._database.read() as tx:
            counts = queries.job_counts(tx)
        return any(count for state, count in counts.items() if state not in JOB_ENDS)


def _plan(jobs: int | None) -> Plan:
    """The special jobs, spread over the run; without an end, over its first thirty."""
    total = jobs or 30
    return Plan(total // 5, 2 * total // 5, 3 * total // 5, 4 * total // 5)
