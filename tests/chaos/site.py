"""A whole site of real processes for the soak: broker, database, services, each to be killed and brought back.

With Mosquitto every service is a process of its own, as `pitada up-local` starts them; with the embedded broker all of
it is one `pitada up`.
"""

import asyncio
import contextlib
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pitada.house import SERVICES
from pitada.ledger import open_database
from pitada.local.mosquitto import LocalMosquitto
from pitada.local.ports import free_port
from pitada.local.postgresql import LocalPostgresql
from pitada.local.up import is_well, pitada, service
from pitada.secrets import service_accounts
from services import devices
from services.clock import now_ms
from services.ledger.database import Database
from services.mqtt import Account, BrokerAddress
from services.settings import Settings
from simulators.fleet import DispenserSpec
from tests.chaos.house_kills import claim
from tests.chaos.restarter import Restarter
from tests.chaos.servers import OPERATOR
from tests.chaos.workload import Workload, fill, make

BROKERS = ("mosquitto", "embedded")
DATABASES = ("postgresql", "sqlite")

# The name of the one process when the broker is embedded.
HOUSE = "house"

# Everything at once, with a new database, on a machine that does other things too.
_WELL_WITHIN_S = 60.0


@dataclass(frozen=True)
class Site:
    """What runs. `specs` are the fleet's dispensers; `probe` and `reports` are for measuring recoveries."""

    database: Database
    broker: BrokerAddress
    dashboard_url: str
    health_urls: dict[str, str]
    running: Restarter
    specs: list[DispenserSpec]
    probe: DispenserSpec
    reports: Workload
    passwords: dict[str, str]
    logs: Path

    def account(self, user: str) -> Account:
        return Account(user, self.passwords[user])

    def tracebacks(self) -> dict[str, int]:
        """How many each service has written into its log: nothing that is killed around it is an error of its own."""
        found = {log.stem: log.read_text(errors="replace").count("Traceback (most") for log in self.logs.glob("*.log")}
        return {name: count for name, count in found.items() if count}

    async def well(self) -> None:
        """Returns when every service can do its work."""
        deadline = time.monotonic() + _WELL_WITHIN_S
        for name, url in self.health_urls.items():
            while not await asyncio.to_thread(is_well, url):
                assert time.monotonic() < deadline, f"{name} is not well; its log is in {self.logs}"
                await asyncio.sleep(0.05)


@contextlib.contextmanager
def site(broker: str, kind: str, dispensers: int, reports: int, *, seed: int, fsync: bool = True) -> Iterator[Site]:
    """`kind` is the database's. `reports`: jobs that a probe dispenser can report, one for each recovery to measure."""
    # Run by root, PostgreSQL is another user, who may not enter pytest's own directories.
    directory = Path(tempfile.mkdtemp(prefix="pitada-soak-"))
    directory.chmod(0o755)
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        running = stack.enter_context(Restarter())
        settings = Settings(data_dir=directory / "data", broker_port=free_port(), http_port=free_port())
        if kind == "postgresql":
            postgresql = LocalPostgresql(directory / "postgresql", fsync=fsync)
            running.start("postgresql", postgresql)
            where = {
                "database_url": postgresql.url_without_password,
                "database_password_file": postgresql.password_file,
            }
            settings = settings.model_copy(update=where)
        database = stack.enter_context(contextlib.closing(open_database(settings)))
        work = make(seed, reports, 1)
        passwords = fill(database, work) | {OPERATOR: secrets.token_urlsafe(20)}
        specs, probes = claim(database, dispensers), claim(database, 1, "probe")
        devices.ensure_service_account(database, OPERATOR, passwords[OPERATOR], now_ms())
        if broker == "embedded":
            urls = {HOUSE: f"http://127.0.0.1:{settings.http_port}"}
            running.start(HOUSE, pitada(settings, "up"))
        else:
            settings = settings.model_copy(update={"broker": "external"})
            service_accounts(settings.data_dir, database, now_ms())
            accounts = devices.accounts(database)
            running.start("mosquitto", LocalMosquitto(directory / "mosquitto", accounts, settings.broker_port))
            urls = _start_services(running, settings)
        yield Site(
            database=database,
            broker=BrokerAddress(settings.broker_host, settings.broker_port),
            dashboard_url=f"http://127.0.0.1:{settings.http_port}",
            health_urls=urls,
            running=running,
            specs=specs,
            probe=probes[0],
            reports=work,
            passwords=passwords,
            logs=settings.data_dir / "logs",
        )


def _start_services(running: Restarter, settings: Settings) -> dict[str, str]:
    """Where each tells of its health."""
    urls = {}
    for name in SERVICES:
        program, urls[name] = service(name, settings)
        running.start(name, program)
    return urls
