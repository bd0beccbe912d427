"""The soak: real processes killed with -9 every few seconds, a bad network, a fleet and its operators; then the checks.

`make soak ARGS="--minutes 60 --dispensers 1000 --database postgresql --json"`.
"""

import asyncio
import math
import os
import platform
import random
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import structlog

from services.ledger import queries
from services.ledger.database import Database
from simulators.faults import Fault, FaultPlan, plan_named
from simulators.fleet import Fleet
from tests.chaos import checks
from tests.chaos.flashes import Flashes
from tests.chaos.operators import Operators, is_set_within
from tests.chaos.probes import Probes
from tests.chaos.proxy import FaultProxy
from tests.chaos.recoveries import Recovery, summary
from tests.chaos.servers import OPERATOR
from tests.chaos.site import HOUSE, Site, site

log = structlog.get_logger(__name__)

# Between two kills, and between two faults of the network.
_KILL_S = (2.0, 5.0)
# All of it in one process: that one is killed about as often as each of five is.
_HOUSE_KILL_S = (8.0, 20.0)
_FAULT_S = (0.5, 3.0)

# The promise: at most this long after a kill it serves again.
BACK_WITHIN_S = 5.0

# The first second of an ordering, a boot and a Wi-Fi: a fleet of a thousand is on within this.
_ON_WITHIN_S = 120.0

# After the last fault: the back-off of a dispenser and two repeats of a report, on a machine with much to catch up on.
_REST_WITHIN_S = 300.0

_LOOK_S = 1.0


@dataclass(frozen=True)
class Wanted:
    """What is to be run. `orders_per_s` None: a job for each dispenser every 100 s, and two a second at least."""

    broker: str = "mosquitto"
    database: str = "postgresql"
    minutes: float = 2.0
    dispensers: int = 100
    seed: int = 1
    plan: str = "awful"
    orders_per_s: float | None = None
    fsync: bool = True

    @property
    def rate_per_s(self) -> float:
        return self.orders_per_s or max(2.0, self.dispensers / 100)


async def run(wanted: Wanted) -> dict[str, Any]:
    """The figures of one soak; `held` says whether all promises did."""
    began = time.monotonic()
    load = os.getloadavg()[0]
    # Kills come at least two seconds apart, and each may use up a report.
    reports = int(wanted.minutes * 60 / _KILL_S[0]) + 50
    with site(wanted.broker, wanted.database, wanted.dispensers, reports, seed=wanted.seed, fsync=wanted.fsync) as real:
        await real.well()
        rng = random.Random(f"{wanted.seed}/network")
        async with FaultProxy(real.broker.host, real.broker.port, rng) as proxy, Probes(real) as probes:
            soak = _Soak(wanted, real, proxy, probes)
            async with soak.fleet:
                figures = await soak.run()
    return {
        **vars(wanted),
        "machine": _machine(),
        "load_before": round(load, 1),
        **figures,
        "wall_s": round(time.monotonic() - began, 1),
    }


class _Soak:
    """One soak over a running site. `fleet` is to be entered first."""

    def __init__(self, wanted: Wanted, real: Site, proxy: FaultProxy, probes: Probes) -> None:
        self._wanted, self._real, self._proxy, self._probes = wanted, real, proxy, probes
        self._over = asyncio.Event()
        names = [spec.device for spec in real.specs]
        plan = plan_named(wanted.plan, wanted.seed, names)
        self.fleet = Fleet(
            real.specs,
            "127.0.0.1",
            proxy.port,
            seed=wanted.seed,
            plan=lambda device: _Ending(plan(device), self._over.is_set),
        )
        # Every opening is judged, however long it takes.
        self.fleet.truth.openings = deque()
        self._flashes = Flashes(self.fleet)
        self._operators = Operators(real.dashboard_url, real.database, self.fleet, self._rng("operators"))
        self._kills: Counter[str] = Counter()
        self._recoveries: list[Recovery] = []

    async def run(self) -> dict[str, Any]:
        started = time.monotonic()
        await self.fleet.wait_until(lambda: self.fleet.connected == len(self.fleet.specs), _ON_WITHIN_S)
        connect_s = time.monotonic() - started
        before_mb = await asyncio.to_thread(self._real.running.memory_mb)
        await self._break_things()
        after_s = await self._come_to_rest()
        after_mb = await asyncio.to_thread(self._real.running.memory_mb)
        stale = await checks.stale_stock(self._real.database, self._real.broker, self._real.account(OPERATOR))
        receipted = self._flashes.receipted | self._probes.receipted
        verdict = await asyncio.to_thread(
            checks.judge, self._real.database, self.fleet, receipted, self._operators.placed, stale
        )
        recovery = summary(self._recoveries)
        tracebacks = self._real.tracebacks()
        in_order = not self._real.running.ended and not tracebacks
        return {
            # Without a kill nothing was shown.
            "held": verdict.held and in_order and recovery.get("p99", math.inf) <= BACK_WITHIN_S,
            **vars(verdict),
            "kills": dict(self._kills),
            "ended_by_themselves": dict(self._real.running.ended),
            "tracebacks": tracebacks,
            "recovery_s": recovery,
            "network_faults": dict(self._proxy.faults),
            "connections_struck": dict(self._proxy.struck),
            "fleet_faults": dict(self.fleet.faults),
            **await asyncio.to_thread(self._counts, self._real.database),
            "receipted": len(receipted),
            "openings": self.fleet.openings,
            "messages": sum(board.hardware.strikes.publishes for board in self.fleet.boards.values()),
            "answers": dict(self._operators.answers),
            "no_answers": self._operators.no_answers,
            "connect_s": round(connect_s, 1),
            "rest_s": round(after_s, 1),
            "memory_mb": {name: [before_mb.get(name), after_mb.get(name)] for name in after_mb},
        }

    async def _break_things(self) -> None:
        """Until the time is over: load, kills, faults of the network; then every kill is recovered from."""
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            working = tasks.create_task(self._operators.work(self._wanted.rate_per_s, stop))
            looking = tasks.create_task(self._watch_flashes())
            breaking = [
                tasks.create_task(self._break_network(stop)),
                tasks.create_task(self._kill_parts(stop, tasks)),
            ]
            await asyncio.sleep(self._wanted.minutes * 60)
            stop.set()
            await asyncio.wait(breaking)
            self._over.set()
            await working
            looking.cancel()

    async def _kill_parts(self, stop: asyncio.Event, tasks: asyncio.TaskGroup) -> None:
        rng = self._rng("kills")
        victims = self._real.running.names
        between_s = _HOUSE_KILL_S if victims == (HOUSE,) else _KILL_S
        while not await is_set_within(stop, rng.uniform(*between_s)):
            victim = rng.choice(victims)
            if await asyncio.to_thread(self._real.running.kill, victim):
                self._kills[victim] += 1
                log.info("killed", process=victim)
                tasks.create_task(self._recover(victim))

    async def _recover(self, victim: str) -> None:
        killed_s = time.monotonic()
        took_s = await self._probes.recovery_s(victim)
        log.info("serves again", process=victim, after_s=round(took_s, 2))
        self._recoveries.append(Recovery(victim, killed_s, took_s))

    async def _break_network(self, stop: asyncio.Event) -> None:
        rng = self._rng("faults")
        proxy = self._proxy
        while not await is_set_within(stop, rng.uniform(*_FAULT_S)):
            ticket = rng.random()
            if ticket < 0.4:
                proxy.cut(rng.uniform(0.01, 0.2))
            elif ticket < 0.45:
                proxy.cut(1)
            elif ticket < 0.65:
                # The longest outlast the keepalive: both ends give up, each on its own.
                proxy.half_open(rng.uniform(0.01, 0.1), rng.choice((1, 5, 20, 60)))
            elif ticket < 0.9:
                proxy.slow(rng.uniform(0.05, 0.3), rng.uniform(1, 10), rng.uniform(0.05, 1))
            else:
                proxy.refuse(rng.uniform(0.2, 2))

    async def _watch_flashes(self) -> None:
        while True:
            self._flashes.look()
            await asyncio.sleep(_LOOK_S)

    async def _come_to_rest(self) -> float:
        """Nothing is broken any more: returns, after so many seconds, when every job has ended and every report is in.

        A run that does not come to rest is judged as it is.
        """
        began = time.monotonic()
        await self._real.well()
        await self._probes.finish()
        while time.monotonic() < began + _REST_WITHIN_S:
            self._flashes.look()
            if not self._flashes.busy() and not await asyncio.to_thread(checks.open_jobs, self._real.database):
                break
            await asyncio.sleep(_LOOK_S)
        return time.monotonic() - began

    def _counts(self, database: Database) -> dict[str, Any]:
        """The fleet's jobs and items by their state; the probes' are not counted."""
        with database.read() as tx:
            letters = queries.dead_letters(tx)
            jobs = [job for job in checks.every_job(tx) if job.device in self.fleet.boards]
        return {
            "jobs": Counter(job.state for job in jobs),
            "items": Counter(item.state for job in jobs for item in job.items),
            "resolved": sum(item.resolution is not None for job in jobs for item in job.items),
            "retries": sum(job.retry_of is not None for job in jobs),
            "dead_letters": sum(letter.times for letter in letters),
        }

    def _rng(self, name: str) -> random.Random:
        return random.Random(f"{self._wanted.seed}/{name}")


class _Ending:
    """A plan of faults, until it is over."""

    def __init__(self, plan: FaultPlan, is_over: Callable[[], bool]) -> None:
        self._plan = plan
        self._is_over = is_over

    def at_opening(self, number: int) -> Fault | None:
        return None if self._is_over() else self._plan.at_opening(number)

    def at_publish(self, number: int) -> Fault | None:
        return None if self._is_over() else self._plan.at_publish(number)


def _machine() -> str:
    return f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
