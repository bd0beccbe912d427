"""The demo's operator: orders by a seed, changes a mind now and then, retries what failed, refills what runs low.

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
from services.ledger import queries, stock
from services.ledger.database import Database
from services.ledger.views import FlaskView, JobView
from services.orders import OrderedItem

BY = "demo"

# How long a flask of the demo stays open: long enough to watch, short enough to see many.
_OPEN_MS = (300, 1200)

# A dispenser's queue: one in hand and one waiting.
_OPEN_JOBS = 2

# How often the operator looks.
_LOOK_S = 0.1

# Jobs looked at: all that are open, and those that ended lately.
_RECENT = 60

# A job whose flasks fail again and again is left to a person.
_RETRIES = 2

# An order whose time is up before the next look of dispatch, however soon the dispenser is free.
_SHORT_EXPIRY_MS = 1

# Refilled when it cannot be sure to serve the next orders.
_LOW_PERCENT = 25


@dataclass(frozen=True)
class Plan:
    """Which of the ordered jobs get special treatment, by their position from 0."""

    cancel_queued: int
    cancel_running: int
    expire: int
    uncalibrated: int

    @classmethod
    def spread_over(cls, jobs: int) -> "Plan":
        return cls(jobs // 5, 2 * jobs // 5, 3 * jobs // 5, 4 * jobs // 5)


# Without an end, the special jobs come among the first thirty.
_ENDLESS = 30


class Operator:
    """Works on the demo's dispensers.

    `pour(device, flask, mg)` puts the grams into the simulated flask; `on_change(ordered, ended)` hears of progress.
    """

    def __init__(
        self,
        database: Database,
        seed: int,
        pour: Callable[[str, int, int], None],
        on_change: Callable[[int, int], None],
    ) -> None:
        self._database = database
        self._rng = random.Random(f"{seed}/operator")  # noqa: S311  # the same run again, not secrecy
        self._pour = pour
        self._on_change = on_change
        self._ordered = 0
        self._tries: dict[str, int] = {}
        self._stop_when_running: set[str] = set()

    async def order(self, jobs: int | None) -> None:
        """Orders so many jobs (None: for ever) and returns when every one, and every retry, has ended."""
        plan = Plan.spread_over(jobs or _ENDLESS)
        while await asyncio.to_thread(self._look, plan, jobs):
            await asyncio.sleep(_LOOK_S)

    def _look(self, plan: Plan, jobs: int | None) -> bool:
        """One look and what follows from it. False when there is nothing left to do."""
        with self._database.read() as tx:
            recent = queries.jobs(tx, limit=_RECENT)
            flasks = queries.stock(tx)
        open_jobs = [job for job in recent if job.state not in JOB_ENDS]
        retried = [self._tend(job) for job in recent]
        for flask in flasks:
            if flask.available_mg * 100 < flask.capacity_mg * _LOW_PERCENT:
                self._refill(flask)
        for device in KITCHEN:
            waiting = sum(job.device == device for job in open_jobs)
            if (jobs is None or self._ordered < jobs) and waiting < _OPEN_JOBS:
                self._place(device, plan, busy=waiting > 0)
        self._on_change(self._ordered, self._ordered - len(open_jobs))
        return jobs is None or self._ordered < jobs or bool(open_jobs) or any(retried)

    def _place(self, device: str, plan: Plan, *, busy: bool) -> None:
        position = self._ordered
        if position in (plan.cancel_queued, plan.expire) and not busy:
            return  # only behind another job is it certain to wait
        if position == plan.uncalibrated:
            device, flask = next((name, number) for name, one in KITCHEN.items() for number in one.uncalibrated())
            self._order(device, [OrderedItem(flask, 1_000)])
        elif position == plan.expire:
            self._order(device, self._items(device, 1), expires_in_ms=_SHORT_EXPIRY_MS)
        elif position == plan.cancel_queued:
            job = self._order(device, self._items(device, 3))
            orders.cancel(self._database, job.job, by=BY, now_ms=now_ms())
        elif position == plan.cancel_running:
            self._stop_when_running.add(self._order(device, self._items(device, 3)).job)
        else:
            self._order(device, self._items(device, self._rng.randint(1, 4)))

    def _tend(self, job: JobView) -> bool:
        """Stops a running job that was chosen for it; True when a jammed flask is tried again."""
        ended = job.state in JOB_ENDS
        if job.job in self._stop_when_running and (ended or job.items[0].state == "done"):
            self._stop_when_running.discard(job.job)
            if not ended:
                orders.cancel(self._database, job.job, by=BY, now_ms=now_ms())
        if not ended or job.job in self._tries or all(item.error != "jammed" for item in job.items):
            return False
        self._tries[job.job] = self._tries.get(job.retry_of or "", 0) + 1
        if self._tries[job.job] > _RETRIES:
            return False
        orders.retry(self._database, job.job, now_ms=now_ms(), new_job_id=new_id(), by=BY)
        return True

    def _refill(self, flask: FlaskView) -> None:
        """Pours first: for a moment the flask holds more than the ledger says, never less."""
        amount_mg = flask.capacity_mg - flask.stock_mg
        self._pour(flask.device, flask.flask, amount_mg)
        with self._database.write() as tx:
            stock.refill(tx, flask.device, flask.flask, amount_mg, by=BY, now_ms=now_ms())

    def _items(self, device: str, most: int) -> list[OrderedItem]:
        dispenser = KITCHEN[device]
        usable = dispenser.calibrated()
        return [
            OrderedItem(number, dispenser.flasks[number - 1].flow_mg_per_s * self._rng.randint(*_OPEN_MS) // 1000)
            for number in self._rng.sample(usable, min(most, len(usable)))
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
        self._ordered += 1
        return job
