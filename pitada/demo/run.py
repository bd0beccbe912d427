"""One demo run from an empty directory: servers, house, fleet, operator, judgement."""

import asyncio
import contextlib
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pitada.demo.kitchen import claim_all
from pitada.demo.operator import Operator
from pitada.demo.options import DemoOptions
from pitada.demo.summary import Summary, summarise
from pitada.house import House, open_house
from pitada.ledger import open_database
from pitada.local.mosquitto import LocalMosquitto
from pitada.local.postgresql import LocalPostgresql
from pitada.secrets import service_accounts
from services import devices
from services.clock import now_ms
from services.ledger.database import Database
from services.settings import Settings
from simulators.fleet import DispenserSpec, Fleet

# A run of 30 jobs takes half a minute; one that is not over by then never will be.
GIVE_UP_S = 300


class DemoStuck(Exception):
    """The demo's jobs did not all end in time."""


@dataclass(frozen=True)
class Demo:
    """A demo that is on: its house and its simulated fleet."""

    house: House
    fleet: Fleet
    started_s: float

    async def order(self, jobs: int | None, seed: int, on_change: Callable[[int, int], None]) -> Summary:
        """Has the operator order, waits for every job to end, and judges."""
        try:
            async with asyncio.timeout(None if jobs is None else GIVE_UP_S):
                await Operator(self.house.database, seed, self.fleet.refill, on_change).order(jobs)
        except TimeoutError:
            raise DemoStuck(f"Not all {jobs} jobs ended within {GIVE_UP_S} s: {self.fleet}") from None
        seconds = time.monotonic() - self.started_s
        return await asyncio.to_thread(summarise, self.house.database, self.fleet, seconds)


@contextlib.asynccontextmanager
async def demo_house(options: DemoOptions) -> AsyncIterator[Demo]:
    """Everything a demo needs, in a temporary directory that is gone at the end."""
    started_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="pitada-demo-") as directory, contextlib.ExitStack() as servers:
        settings, specs = await asyncio.to_thread(_prepare, options, Path(directory), servers)
        async with (
            open_house(settings) as house,
            Fleet(specs, house.broker.host, house.broker.port, seed=options.seed, plan="demo") as fleet,
        ):
            yield Demo(house, fleet, started_s)


def _prepare(
    options: DemoOptions, directory: Path, servers: contextlib.ExitStack
) -> tuple[Settings, list[DispenserSpec]]:
    """Starts the real servers that were asked for, and claims the dispensers."""
    # PostgreSQL runs as a user of its own and must be able to pass through.
    directory.chmod(0o711)
    settings = Settings(data_dir=directory, http_port=options.http_port, broker_port=0)
    if options.database == "postgresql":
        url = servers.enter_context(LocalPostgresql(directory / "postgresql")).url
        settings = settings.model_copy(update={"database_url": url})
    with _opened(settings) as database:
        specs = claim_all(database, now_ms())
        if options.broker == "mosquitto":
            service_accounts(directory, database, now_ms())
            mosquitto = servers.enter_context(LocalMosquitto(directory / "mosquitto", devices.accounts(database)))
            settings = settings.model_copy(update={"broker": "external", "broker_port": mosquitto.port})
    return settings, specs


@contextlib.contextmanager
def _opened(settings: Settings) -> Iterator[Database]:
    database = open_database(settings)
    try:
        yield database
    finally:
        database.close()
