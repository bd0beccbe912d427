"""A fleet at a whole house: how long it takes to connect, what a dispenser costs, its way back after the broker died.

Mosquitto, PostgreSQL, ingest, dispatch and dashboard run beside the fleet. `python -m tests.benchmarks fleet
[--dispensers 10000] [--jobs 1000] [--tls]` prints one line of JSON.
"""

import argparse
import asyncio
import contextlib
import gc
import json
import os
import platform
import shutil
import ssl
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from pitada.cli.output import configure_logs
from pitada.demo.summary import summarise
from pitada.fleet.accounts import claim_fleet, known_to_broker
from pitada.fleet.api import Api
from pitada.fleet.figures import spread
from pitada.fleet.orders import Orders
from pitada.local.up import UpLocal, up_local
from pitada.process import raise_open_files, spare_the_collector
from services import people
from services.clock import now_ms
from services.mqtt import BrokerAddress
from simulators.fleet import DispenserSpec, Fleet

# So fast that the figure is the connecting and not the ramp.
RAMP_PER_S = 1000
DEADLINE_S = 300.0
ORDERS_PER_S = 50.0
# Of the jobs, so many are ordered while the broker dies.
DURING_PERCENT = 20
SEED = 1


@dataclass(frozen=True)
class Back:
    """After the kill: all signed in again, all jobs settled, and the CONNECTs of each second from the kill on."""

    connected_s: float
    settled_s: float
    connects: list[int]


def rss_bytes() -> int:
    """What this process holds in memory now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@contextlib.contextmanager
def house(tls: bool) -> Iterator[UpLocal]:
    """Everything but the fleet, watched as `pitada up-local` does: what dies is started again."""
    directory = Path(tempfile.mkdtemp(prefix="pitada-fleet-"))
    stop = threading.Event()
    try:
        with up_local(directory, http_port=0, broker_port=0, tls=tls) as up:
            watching = threading.Thread(target=up.watch, args=(stop,))
            watching.start()
            try:
                yield up
            finally:
                stop.set()
                watching.join()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


async def measure(up: UpLocal, dispensers: int, jobs: int) -> dict[str, object]:
    """Connect them, run the jobs, kill the broker under them, and judge the ledger."""
    began = time.perf_counter()
    specs = await asyncio.to_thread(claim_fleet, up.database, [f"sim-{number:05}" for number in range(dispensers)])
    claim_s = time.perf_counter() - began
    address = BrokerAddress(up.settings.broker_host, up.settings.broker_port, up.settings.broker_tls_ca)
    tls = None if address.tls_ca is None else ssl.create_default_context(cafile=address.tls_ca)
    await known_to_broker(address, specs[-1])
    await _first_pays(specs[:1], address, tls)
    before_bytes = rss_bytes()
    during = max(1, jobs * DURING_PERCENT // 100)
    began, cpu_s = time.perf_counter(), time.process_time()
    async with Fleet(specs, address.host, address.port, seed=SEED, tls=tls, ramp_per_s=RAMP_PER_S) as fleet:
        await fleet.wait_until(lambda: fleet.connected == dispensers, DEADLINE_S)
        connect_s = time.perf_counter() - began
        connect_cpu_s = time.process_time() - cpu_s
        spare_the_collector()
        calm = await _order(up, fleet, jobs - during)
        gc.collect()
        each_bytes = (rss_bytes() - before_bytes) // dispensers
        back, storm = await _killed(up, fleet, during)
        peak_bytes = (rss_bytes() - before_bytes) // dispensers
        found = await asyncio.to_thread(summarise, up.database, fleet, 0)
        return {
            "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
            "tls": tls is not None,
            "dispensers": dispensers,
            "claim_s": round(claim_s, 1),
            "connect_s": round(connect_s, 1),
            "connect_cpu_s": round(connect_cpu_s, 1),
            "kb_each": round(each_bytes / 1024, 1),
            "kb_each_after_restart": round(peak_bytes / 1024, 1),
            "jobs": found.jobs,
            "settle": asdict(spread(calm.settled_ms)),
            "receipt": asdict(spread(fleet.wire.waited_ms)),
            "back_s": round(max(back.connected_s, back.settled_s), 1),
            "connected_again_s": round(back.connected_s, 1),
            "connects_peak_per_s": max(back.connects),
            "connects_per_s": back.connects,
            "divergences": found.divergences + len(calm.divergences) + len(storm.divergences),
            "double_dispenses": found.double_dispenses,
            "problems": found.problems,
        }


async def _first_pays(specs: Sequence[DispenserSpec], address: BrokerAddress, tls: ssl.SSLContext | None) -> None:
    """The first one pays for what all share: the event loop, the compiled tables."""
    async with Fleet(specs, address.host, address.port, tls=tls) as first:
        await first.wait_until(lambda: first.connected == 1, DEADLINE_S)
    gc.collect()


async def _order(up: UpLocal, fleet: Fleet, jobs: int) -> Orders:
    """Places them as a user does; returns when all have ended."""
    api = Api(up.urls["dashboard"], lambda: people.new_sign_in_link_token(up.database, now_ms()))
    orders = Orders(api, fleet, jobs=jobs, per_s=ORDERS_PER_S, seed=SEED)
    await orders.run()
    return orders


async def _killed(up: UpLocal, fleet: Fleet, jobs: int) -> tuple[Back, Orders]:
    """`kill -9` of the broker in the middle of these jobs; the supervisor starts it again."""
    ordering = asyncio.create_task(_order(up, fleet, jobs))
    openings = fleet.openings
    await fleet.wait_until(lambda: fleet.openings > openings, DEADLINE_S)
    loop = asyncio.get_running_loop()
    killed_at = loop.time()
    await asyncio.to_thread(up.mosquitto.kill)
    await fleet.wait_until(lambda: fleet.connected < len(fleet.specs), DEADLINE_S)
    await fleet.wait_until(lambda: fleet.connected == len(fleet.specs), DEADLINE_S)
    connected_s = loop.time() - killed_at
    orders = await ordering
    settled_s = loop.time() - killed_at
    counted = dict(fleet.wire.connects)
    seconds = range(int(killed_at), max(counted) + 1)
    return Back(connected_s, settled_s, [counted.get(second, 0) for second in seconds]), orders


def main(args: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dispensers", type=int, default=500)
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--tls", action="store_true", help="as a real house has it; it takes the simulator's memory")
    chosen = parser.parse_args(args)
    configure_logs()  # on standard error: the figures are the only line of standard output
    raise_open_files(chosen.dispensers + 300)
    with house(chosen.tls) as up:
        result = asyncio.run(measure(up, chosen.dispensers, chosen.jobs))
    sys.stdout.write(json.dumps({"benchmark": "fleet", **result}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
