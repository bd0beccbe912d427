"""`kill -9` of a whole `pitada up` at random moments, under a fleet to which everything else happens too."""

import asyncio
import os
import random
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from pitada.demo.summary import summarise
from pitada.local.ports import free_port
from pitada.local.program import Program
from protocol.states import JOB_ENDS
from services import devices, orders
from services.clock import now_ms
from services.devices import FlaskSetup
from services.ids import new_id
from services.ledger import queries
from services.ledger.database import Database
from services.orders import OrderedItem
from simulators.flask import FlaskSpec
from simulators.fleet import DispenserSpec, Fleet

FLASKS = 3
CONTENTS_MG = 10_000_000
FLOW_MG_PER_S = 20_000

# Jobs that wait at each dispenser: there is always one to be interrupted.
_OPEN_JOBS = 2

# Between two kills: from the middle of the start to a dozen jobs later.
_LIVES_S = (0.3, 6.0)

# Of the open jobs, at each of five looks a second: about one in ten is cancelled before it ends.
_CANCELLED = 0.003

# After the last kill: a power cut, the back-off of the Wi-Fi and one repeat of a report, some times over.
_END_WITHIN_S = 180.0


@dataclass(frozen=True)
class Figures:
    """What a run came to; `divergences` and `double_dispenses` are by what physically left the flasks."""

    seed: int
    plan: str
    kills: int
    wall_s: float
    jobs: dict[str, int]
    power_cuts: int
    wifi_drops: int
    dead_letters: int
    divergences: int
    double_dispenses: int
    problems: tuple[str, ...]


async def run(seed: int, kills: int, dispensers: int = 6, plan: str = "awful") -> Figures:
    """Kill the house that often while the fleet works, then let every job end."""
    began = time.monotonic()
    rng = random.Random(f"{seed}/house")
    with tempfile.TemporaryDirectory(prefix="pitada-chaos-", ignore_cleanup_errors=True) as folder:
        database = Database(f"sqlite:///{folder}/ledger.db")
        database.migrate()
        house = House(Path(folder))
        try:
            async with Fleet(claim(database, dispensers), "127.0.0.1", house.port, seed=seed, plan=plan) as fleet:
                ordering = asyncio.create_task(_order(database, rng))
                for _ in range(kills):
                    house.start()
                    await asyncio.sleep(rng.uniform(*_LIVES_S))
                    house.kill()
                house.start()
                ordering.cancel()
                await asyncio.gather(ordering, return_exceptions=True)
                await all_ended(database)
                found = await asyncio.to_thread(summarise, database, fleet, time.monotonic() - began)
        finally:
            house.kill()
            database.close()
    return Figures(
        seed=seed,
        plan=plan,
        kills=kills,
        wall_s=found.seconds,
        jobs=found.jobs,
        power_cuts=found.power_cuts,
        wifi_drops=found.wifi_drops,
        dead_letters=found.dead_letters,
        divergences=found.divergences,
        double_dispenses=found.double_dispenses,
        problems=found.problems,
    )


class House(Program):
    """`pitada up`, its data and its log in `folder`, with further options; the embedded broker keeps its port.

    `start` returns at once: its start is a moment to be killed at, too.
    """

    def __init__(self, folder: Path, *options: str) -> None:
        self.port = free_port()
        command = [sys.executable, "-c", "from pitada.start import main; main()", "up"]
        super().__init__(
            [*command, "--http-port", "0", "--broker-port", str(self.port), *options],
            {**os.environ, "PITADA_DATA_DIR": str(folder)},
            folder / "house.log",
        )


def claim(database: Database, dispensers: int, prefix: str = "sim") -> list[DispenserSpec]:
    """That many dispensers, claimed."""
    numbers = range(1, FLASKS + 1)
    setups = [FlaskSetup(flask, f"Spice {flask}", CONTENTS_MG, CONTENTS_MG, FLOW_MG_PER_S) for flask in numbers]
    flasks = [FlaskSpec(flask, CONTENTS_MG, FLOW_MG_PER_S) for flask in numbers]
    names = [f"{prefix}-{number:03}" for number in range(dispensers)]
    return [
        DispenserSpec(
            name, devices.claim(database, name, name=name, flasks=setups, now_ms=now_ms(), by="chaos"), flasks
        )
        for name in names
    ]


async def _order(database: Database, rng: random.Random) -> None:
    """Keep every dispenser's queue filled, and cancel one job in ten at whatever step it is."""
    while True:
        await asyncio.to_thread(fill_queues, database, rng)
        await asyncio.sleep(0.2)


def fill_queues(database: Database, rng: random.Random) -> None:
    """Order for whoever has too little to do, and cancel a job now and then."""
    with database.read() as tx:
        names = [one.device for one in queries.dispensers(tx)]
        open_jobs = [job for job in queries.jobs(tx, limit=200) if job.state not in JOB_ENDS]
    for job in open_jobs:
        if rng.random() < _CANCELLED:
            try:
                orders.cancel(database, job.job, by="chaos", now_ms=now_ms())
            except orders.AlreadyEnded:
                continue
    for name in names:
        if sum(job.device == name for job in open_jobs) < _OPEN_JOBS:
            items = [OrderedItem(flask, rng.randint(2_000, 12_000)) for flask in range(1, FLASKS + 1)]
            orders.place(database, device=name, items=items, now_ms=now_ms(), job_id=new_id(), by="chaos")


async def all_ended(database: Database) -> None:
    """Every job has ended, and no dispenser has anything in hand or a report that was not receipted."""
    deadline = time.monotonic() + _END_WITHIN_S
    while left := await asyncio.to_thread(_left, database):
        assert time.monotonic() < deadline, f"after {_END_WITHIN_S:.0f} s these are open: {left}"
        await asyncio.sleep(0.2)


def _left(database: Database) -> list[str]:
    with database.read() as tx:
        jobs = [f"{job.job} {job.state}" for job in queries.jobs(tx, limit=200) if job.state not in JOB_ENDS]
        return jobs + [one.device for one in queries.dispensers(tx) if one.job is not None]
