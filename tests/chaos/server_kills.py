"""PostgreSQL stopped with `immediate`, Mosquitto with -9, under load: ingest is back soon; what was receipted stays."""

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from services.ledger.audit import audit
from tests.chaos.ingest_process import IngestProcess
from tests.chaos.oracle import final_tables
from tests.chaos.repeaters import Repeaters
from tests.chaos.servers import Servers, servers
from tests.chaos.workload import ended, make, tables_of

TARGETS = ("postgresql", "mosquitto", "both")

# The promise: ingest settles again this soon after the server does.
BACK_WITHIN_S = 5.0

# What a server needs to recover, and a dispenser to repeat, on a busy machine.
_END_WITHIN_S = 60.0


@dataclass(frozen=True)
class Figures:
    """What a run came to. `back_s`: from the server's return to ingest's, for each kill."""

    target: str
    seed: int
    jobs: int
    kills: int
    back_s: list[float]
    slowest_back_s: float
    receipted_lost: int
    differences: list[str]
    problems: list[str]


async def run(target: str, seed: int, kills: int, dispensers: int = 20, *, fsync: bool = True) -> Figures:
    """Kill the target that often while the dispensers work, then let them end what they began."""
    work = make(seed, dispensers * kills * 200, dispensers)
    rng = random.Random(f"{seed}/{target}")
    with servers("postgresql", work, fsync=fsync) as real, real.ingest() as ingest:
        await asyncio.to_thread(ingest.wait, True)
        async with Repeaters(real, work) as fleet:
            back_s, lost = [], 0
            for _ in range(kills):
                await fleet.next_receipt(_END_WITHIN_S)
                await asyncio.sleep(rng.uniform(0, 0.5))
                back_s.append(await _kill(target, real, ingest))
                # Nobody repeats what was receipted, so it is in the ledger now or never again.
                receipted = set(fleet.receipted)
                lost += len(receipted - await asyncio.to_thread(ended, real.database))
            await fleet.finish(_END_WITHIN_S)
        assert ingest.running, "ingest ended by itself"
        expected, found = final_tables(work.all_orders, fleet.said, work.stock_mg), tables_of(real.database)
        with real.database.read() as tx:
            problems = audit(tx).problems
    return Figures(
        target=target,
        seed=seed,
        jobs=len(fleet.receipted),
        kills=len(back_s),
        back_s=[round(each, 2) for each in back_s],
        slowest_back_s=round(max(back_s), 2),
        receipted_lost=lost,
        differences=expected.differences(found),
        problems=problems,
    )


async def _kill(target: str, real: Servers, ingest: IngestProcess) -> float:
    """Seconds from the server's return to ingest's."""
    assert real.postgresql is not None
    killed: list[tuple[Callable[[], None], Callable[[], None]]] = []
    if target != "mosquitto":
        killed.append((real.postgresql.kill, real.postgresql.start))
    if target != "postgresql":
        killed.append((real.mosquitto.kill, real.mosquitto.start))
    for kill, _ in killed:
        await asyncio.to_thread(kill)
    for _, start in killed:
        await asyncio.to_thread(start)
    back = time.monotonic()
    await asyncio.to_thread(ingest.wait, False)
    await asyncio.to_thread(ingest.wait, True)
    return time.monotonic() - back
