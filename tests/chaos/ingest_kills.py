"""`kill -9` of ingest at random moments of a drain: the final tables are the oracle's."""

import asyncio
import random
import time
from dataclasses import dataclass

from sqlalchemy import text

from services.ingest import FILTERS
from services.ledger.audit import audit
from services.mqtt import connected
from tests.chaos.oracle import final_tables
from tests.chaos.servers import Servers, publish, servers
from tests.chaos.workload import MESSAGES_PER_JOB, Workload, make, tables_of

# Dispensers that fill the broker at the same time: more only wait for each other.
_SPEAK_AT_ONCE = 4

# Mosquitto saves the whole backlog every 5 s, and answers nobody meanwhile: on a busy disk a start waits for that.
_UP_WITHIN_S = 120.0

# Broker and ledger on a machine that does other things too: a drain that is slower than this has stopped.
_LEAST_PER_S = 25


@dataclass(frozen=True)
class Figures:
    """What a run came to. `kills`: those that fell into the drain; `differences` and `problems` are in words."""

    database: str
    seed: int
    messages: int
    kills: int
    wall_s: float
    lost: int
    duplicated: int
    differences: list[str]
    problems: list[str]


async def run(kind: str, seed: int, messages: int, kills: int, dispensers: int = 50, *, fsync: bool = True) -> Figures:
    """Fill the broker with a backlog of at least that many messages, then drain it through that many kills."""
    work = make(seed, -(-messages // MESSAGES_PER_JOB), dispensers)
    with servers(kind, work, fsync=fsync) as real:
        await _fill_broker(real, work)
        began = time.monotonic()
        fell = await asyncio.to_thread(_drain, real, work, random.Random(f"{seed}/kills"), kills)
        wall_s = time.monotonic() - began
        said = [message for device in work.orders for message in work.messages_of(device)]
        expected, found = final_tables(work.all_orders, said, work.stock_mg), tables_of(real.database)
        with real.database.read() as tx:
            problems = audit(tx).problems
    return Figures(
        database=kind,
        seed=seed,
        messages=len(said),
        kills=fell,
        wall_s=round(wall_s, 1),
        lost=len(expected.movements.keys() - found.movements.keys()),
        duplicated=len(found.movements.keys() - expected.movements.keys()),
        differences=expected.differences(found),
        problems=problems,
    )


async def _fill_broker(real: Servers, work: Workload) -> None:
    """Ingest's session is there, so that the broker keeps everything for it; then everything is said."""
    async with connected(real.broker, real.account("svc_ingest"), persistent=True) as link:
        await link.subscribe(FILTERS)
    speaking = asyncio.Semaphore(_SPEAK_AT_ONCE)

    async def speak(device: str) -> None:
        async with speaking:
            await publish(real, device, work.messages_of(device))

    await asyncio.gather(*(speak(device) for device in work.orders))


def _drain(real: Servers, work: Workload, rng: random.Random, kills: int) -> int:
    """Returns how many kills fell into the drain: before the last job had ended."""
    ingest = real.ingest()
    fell = 0
    share = kills + 1
    for number in range(1, kills + 1):
        ingest.start()
        ingest.wait(ok=True, within_s=_UP_WITHIN_S)
        # Somewhere in its share of the work, and at any point of a batch there: what a random moment of the drain is.
        least = len(work.said) * (number - 1 + rng.random()) / share
        _wait_for_jobs(real, min(least, len(work.said) - 1))
        time.sleep(rng.uniform(0, 0.02))
        ingest.kill()
        fell += _jobs_done(real) < len(work.said)
    with ingest:
        _wait_for_jobs(real, len(work.said))
    return fell


def _wait_for_jobs(real: Servers, least: float) -> None:
    most_s = 30 + least * MESSAGES_PER_JOB / _LEAST_PER_S
    deadline = time.monotonic() + most_s
    while (done := _jobs_done(real)) < least:
        assert time.monotonic() < deadline, f"{done} of {least:.0f} jobs after {most_s:.0f} s"
        time.sleep(0.01)


def _jobs_done(real: Servers) -> int:
    with real.database.read() as tx:
        done: int = tx.execute(text("SELECT count(*) FROM job WHERE rank = 4")).scalar_one()
    return done
