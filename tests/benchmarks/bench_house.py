"""A morning: a whole fleet is switched on with a job waiting for each; embedded broker in one process, and Mosquitto.

The fleet runs in this process and takes about as much of the machine as the house: the figures are what a house does
at least.
"""

import argparse
import asyncio
import json
import os
import platform
import sys
import time
from collections.abc import Sequence
from typing import Any

from protocol.states import JOB_ENDS
from services import orders
from services.clock import now_ms
from services.ids import new_id
from services.ledger import queries
from services.ledger.database import Database
from services.orders import OrderedItem
from simulators.fleet import Fleet
from tests.chaos.house_kills import FLASKS
from tests.chaos.site import BROKERS, Site, site

# All on within a second, so that the figure is the house and not the ramp.
RAMP_PER_S = 1000
DEADLINE_S = 300.0

# A tenth of a second a flask: the work is the messages.
TARGET_MG = 2_000

_LOOK_S = 0.05


async def measure(broker: str, kind: str, dispensers: int) -> dict[str, Any]:
    """Seconds from the switch until all are connected, and until every job's end is in the ledger."""
    with site(broker, kind, dispensers, reports=1, seed=1) as real:
        await real.well()
        await asyncio.to_thread(_order, real)
        started = time.perf_counter()
        async with Fleet(real.specs, real.broker.host, real.broker.port, ramp_per_s=RAMP_PER_S) as fleet:
            await fleet.wait_until(lambda: fleet.connected == dispensers, DEADLINE_S)
            connect_s = time.perf_counter() - started
            while await asyncio.to_thread(_ended, real.database) < dispensers:
                assert time.perf_counter() < started + DEADLINE_S, f"{fleet}"
                await asyncio.sleep(_LOOK_S)
            settled_s = time.perf_counter() - started
            messages = sum(board.hardware.strikes.publishes for board in fleet.boards.values())
        memory_mb = real.running.memory_mb()
    return {
        "connect_s": round(connect_s, 1),
        "settled_s": round(settled_s, 1),
        "messages": messages,
        "messages_per_s": round(messages / settled_s),
        "memory_mb": memory_mb,
    }


def _order(real: Site) -> None:
    items = [OrderedItem(flask, TARGET_MG) for flask in range(1, FLASKS + 1)]
    for spec in real.specs:
        orders.place(real.database, device=spec.device, items=items, now_ms=now_ms(), job_id=new_id(), by="bench")


def _ended(database: Database) -> int:
    with database.read() as tx:
        counts = queries.job_counts(tx)
    return sum(counts[state] for state in JOB_ENDS)


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="make bench ARGS=house")
    parser.add_argument("--dispensers", type=int, default=1_000)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    options = parser.parse_args(arguments)
    figures = {
        "benchmark": "house",
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "dispensers": options.dispensers,
        "database": options.database,
    }
    for broker in BROKERS:
        figures[broker] = asyncio.run(measure(broker, options.database, options.dispensers))
    sys.stdout.write(json.dumps(figures) + "\n")
