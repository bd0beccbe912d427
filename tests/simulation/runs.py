"""Runs many seeds, on every core; and finds the shortest plan that still fails."""

import gc
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import NamedTuple

import structlog

from tests.simulation.bugs import BUGS
from tests.simulation.database import ledger
from tests.simulation.plan import Plan, draw
from tests.simulation.world import World, simulate

# Seeds that a worker takes at once: some seconds of work.
_CHUNK = 100


class Outcome(NamedTuple):
    """How a run of seeds went. `failed`: what was wrong, by seed. `cpu_s` is of all processes together."""

    schedules: int
    failed: dict[int, list[str]]
    faults: Counter[str]
    virtual_s: float
    cpu_s: float


def run(drawn: Plan, bug: str | None = None) -> World:
    """One plan, with one seeded bug or none."""
    # Services say what they do without; that is no news here, and the words cost a third of a run.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("critical"))
    if bug is None:
        return simulate(drawn, ledger())
    with BUGS[bug].patched():
        return simulate(drawn, ledger())


def run_seeds(seeds: range, bug: str | None = None, stop: bool = False) -> Outcome:
    """Those seeds, one after the other, in this process; up to the first that fails when `stop`."""
    # Worlds are many short-lived circles; what was there before need not be looked through with them.
    gc.collect()
    gc.freeze()
    began_s = time.process_time()
    failed: dict[int, list[str]] = {}
    faults: Counter[str] = Counter()
    virtual_s = 0.0
    schedules = 0
    for seed in seeds:
        world = run(draw(seed), bug)
        schedules += 1
        faults += world.faults
        virtual_s += world.loop.time()
        if world.wrong:
            failed[seed] = world.wrong
            if stop:
                break
    return Outcome(schedules, failed, faults, virtual_s, time.process_time() - began_s)


def run_everywhere(seeds: range, processes: int | None = None) -> Iterator[Outcome]:
    """Those seeds on every core (or so many); an outcome for each part, as they come."""
    chunks = [seeds[start : start + _CHUNK] for start in range(0, len(seeds), _CHUNK)]
    with ProcessPoolExecutor(processes or os.cpu_count()) as pool:
        yield from pool.map(run_seeds, chunks)


def add(outcomes: Iterator[Outcome]) -> Outcome:
    """All of them as one."""
    total = Outcome(0, {}, Counter(), 0.0, 0.0)
    for one in outcomes:
        total = Outcome(
            total.schedules + one.schedules,
            total.failed | one.failed,
            total.faults + one.faults,
            total.virtual_s + one.virtual_s,
            total.cpu_s + one.cpu_s,
        )
    return total


def shrink(drawn: Plan, fails: Callable[[Plan], bool]) -> Plan:
    """The plan without every action that it can do without and still fail: none of those left can go alone."""
    size = len(drawn.actions)
    while size:
        size //= 2
        start = 0
        while start < len(drawn.actions):
            smaller = drawn.only(partial(_outside, start, start + max(size, 1)))
            if fails(smaller):
                drawn = smaller
            else:
                start += max(size, 1)
    return drawn


def _outside(start: int, end: int, position: int) -> bool:
    return not start <= position < end
