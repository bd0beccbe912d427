"""Orders for a fleet that all look alike: so many jobs, spread evenly, and the wait until the last has ended."""

import asyncio
import random
from collections.abc import Sequence

from pitada.demo.run import DemoStuck
from protocol.states import JOB_ENDS, JOB_STATES
from services import orders
from services.clock import now_ms
from services.ids import new_id
from services.ledger import queries
from services.ledger.database import Database
from services.orders import OrderedItem
from simulators.fleet import DispenserSpec

BY = "fleet"

# How long a flask stays open: long enough that faults hit it, short enough for many jobs.
_OPEN_MS = (100, 800)

# A job of four flasks takes seconds; after an outage a dispenser repeats its report within half a minute.
_START_S = 120
_EACH_S = 10

# Open jobs read at once: more than any fleet on one machine has.
_ALL = 100_000

_LOOK_S = 0.5


async def order_and_wait(database: Database, dispensers: Sequence[DispenserSpec], jobs: int, seed: int) -> None:
    """Places the jobs and returns when every one has ended. Raises `DemoStuck` when that takes too long."""
    placed = await asyncio.to_thread(_place, database, dispensers, jobs, seed)
    give_up_s = _START_S + _EACH_S * (jobs // len(dispensers) + 1)
    try:
        async with asyncio.timeout(give_up_s):
            while await asyncio.to_thread(_open, database, placed):
                await asyncio.sleep(_LOOK_S)
    except TimeoutError:
        left = await asyncio.to_thread(_open, database, placed)
        raise DemoStuck(f"{left} of {jobs} jobs have not ended within {give_up_s} s.") from None


def _place(database: Database, dispensers: Sequence[DispenserSpec], jobs: int, seed: int) -> set[str]:
    rng = random.Random(seed)  # noqa: S311  # which flasks, not a secret
    placed = set()
    for number in range(jobs):
        dispenser = dispensers[number % len(dispensers)]
        flasks = rng.sample(list(dispenser.flasks), rng.randint(1, len(dispenser.flasks)))
        items = [OrderedItem(one.flask, one.flow_mg_per_s * rng.randint(*_OPEN_MS) // 1000) for one in flasks]
        job = orders.place(database, device=dispenser.device, items=items, now_ms=now_ms(), job_id=new_id(), by=BY)
        placed.add(job.job)
    return placed


def _open(database: Database, placed: set[str]) -> int:
    with database.read() as tx:
        still = queries.jobs(tx, states=set(JOB_STATES) - set(JOB_ENDS), limit=_ALL)
    return sum(job.job in placed for job in still)
