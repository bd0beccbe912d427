"""Wi-Fi that goes away and a broker that is killed, while jobs run on a dispenser in the VM."""

import asyncio
import random
import time
from dataclasses import dataclass
from pathlib import Path

from tests.micropython.air import Air, air
from tests.micropython.site import VmSite, openings, running_site

# An outage lasts up to this long. The dispenser comes back a second or two later: it waits its random turn.
MAX_OUTAGE_S = 1.5
# A job takes about a second, so an outage begins anywhere in it.
MAX_PAUSE_S = 1.2


@dataclass(frozen=True)
class Outages:
    """What happened. `problems` must be empty, `jobs` all over."""

    seed: int
    pulls: int
    kills: int
    jobs: int
    jobs_done: int
    openings: int
    connects: int
    seconds: float
    slowest_job_s: float
    problems: tuple[str, ...]


async def run(directory: Path, image: Path, pulls: int, kills: int, seed: int) -> Outages:
    """Every fault meets a job that was just ordered; the job of each must end before the next."""
    rng = random.Random(seed)
    faults = ["pull"] * pulls + ["kill"] * kills
    rng.shuffle(faults)
    begun = time.monotonic()
    jobs = []
    slowest = 0.0
    async with (
        running_site(directory, image) as site,
        air(site.mosquitto.port) as link,
        site.dispenser(link.port) as vm,
    ):
        await site.until(site.is_online)
        for fault in faults:
            job = site.order(*[(rng.randint(1, 4), rng.randint(50, 400)) for _ in range(rng.randint(1, 5))])
            jobs.append(job)
            ordered = time.monotonic()
            await asyncio.sleep(rng.uniform(0, MAX_PAUSE_S))  # the random point
            await _strike(fault, site, link, rng)
            await site.until(lambda wanted=job: site.is_over(wanted))  # type: ignore[misc]  # binds now
            slowest = max(slowest, time.monotonic() - ordered)
        done = [site.job(job).state for job in jobs].count("done")
        return Outages(
            seed=seed,
            pulls=pulls,
            kills=kills,
            jobs=len(jobs),
            jobs_done=done,
            openings=len(openings(vm.lines)),
            connects=link.connects,
            seconds=round(time.monotonic() - begun, 1),
            slowest_job_s=round(slowest, 1),
            problems=tuple(site.differences()),
        )


async def _strike(fault: str, site: VmSite, link: Air, rng: random.Random) -> None:
    for_s = rng.uniform(0.1, MAX_OUTAGE_S)
    if fault == "kill":
        await asyncio.to_thread(site.mosquitto.kill)
        await asyncio.sleep(for_s)
        await asyncio.to_thread(site.mosquitto.start)
        return
    rng.choice((link.reset, link.freeze))()
    await asyncio.sleep(for_s)
    link.restore()
