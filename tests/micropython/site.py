"""A place with the real things around a dispenser in the VM: Mosquitto with TLS, ingest, dispatch, the ledger."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

from broker.mosquitto import Tls
from firmware.core.job import amount_mg
from pitada.house import House, open_house
from pitada.ledger import open_database
from pitada.local import certificates
from pitada.local.mosquitto import LocalMosquitto
from pitada.secrets import service_accounts
from protocol.states import JOB_ENDS
from services import devices, orders
from services.clock import now_ms
from services.devices import FlaskSetup
from services.ids import new_id
from services.ledger import queries
from services.ledger.audit import audit
from services.ledger.database import Database
from services.ledger.dispensed import dispensed
from services.ledger.views import JobView
from services.orders import OrderedItem
from services.settings import Settings
from tests.micropython.vm import Vm, VmFailed

DEVICE = "vm-kitchen"
DEVICE_MAIN = "tests.micropython.inside.device:main"

# A milligram of the first flask takes a millisecond, and the others flow two, three and four times as fast.
FLOWS = {number: number * 1000 for number in range(1, 5)}
STOCK_MG = 900_000_000
SETTLE_MS = 20


@dataclass
class VmSite:
    """The house, its broker, and what a dispenser needs to boot. `boots` are the VMs so far."""

    house: House
    mosquitto: LocalMosquitto
    ca: str
    password: str
    image: Path
    flash: Path
    boots: list[Vm] = field(default_factory=list)

    @property
    def database(self) -> Database:
        return self.house.database

    @contextlib.asynccontextmanager
    async def dispenser(self, port: int, flash: Path | None = None) -> AsyncIterator[Vm]:
        """One boot of the dispenser, which connects to `port`."""
        account = (DEVICE, self.password, "127.0.0.1", port, self.ca)
        vm = Vm(self.image, flash or self.flash, DEVICE_MAIN, *account)
        self.boots.append(vm)
        async with vm:
            yield vm

    def order(self, *items: tuple[int, int]) -> str:
        """Place a job of (flask, target_mg) items; its id."""
        job = new_id()
        wanted = [OrderedItem(flask=flask, target_mg=mg) for flask, mg in items]
        orders.place(self.database, device=DEVICE, items=wanted, now_ms=now_ms(), job_id=job, by="test")
        return job

    def job(self, job: str) -> JobView:
        with self.database.read() as tx:
            found = queries.job(tx, job)
        assert found is not None
        return found

    def is_over(self, *jobs: str) -> bool:
        return all(self.job(job).state in JOB_ENDS for job in jobs)

    def is_online(self) -> bool:
        with self.database.read() as tx:
            found = queries.dispenser(tx, DEVICE)
        return found is not None and found.online

    async def until(self, happened: Callable[[], bool], wait_s: float = 60) -> float:
        """Wait for it while the last boot runs; how many seconds it took. Raises `VmFailed` with what it said last."""
        begun = time.monotonic()
        vm = self.boots[-1]
        while not happened():
            waited_s = time.monotonic() - begun
            if waited_s > wait_s or not vm.is_running:
                raise VmFailed(f"not within {waited_s:.1f} s; the VM said last:\n" + "\n".join(vm.lines[-30:]))
            await asyncio.sleep(0.01)
        return time.monotonic() - begun

    def differences(self) -> list[str]:
        """Where the ledger says something else than the openings of the VMs, and what the audit finds."""
        truth: Counter[int] = Counter()
        for vm in self.boots:
            for flask, open_ms in openings(vm.lines):
                truth[flask] += amount_mg(open_ms, FLOWS[flask])
        with self.database.read() as tx:
            said = Counter({one.flask: one.dispensed_mg for one in dispensed(tx)})
            problems = audit(tx).problems
        found = [
            f"flask {number}: {truth[number]} mg left it, the ledger says {said[number]}"
            for number in FLOWS
            if truth[number] != said[number]
        ]
        return found + problems + [line for vm in self.boots for line in vm.lines if line.startswith("violation")]


def openings(lines: list[str]) -> list[tuple[int, int]]:
    """(flask, open_ms) of every gate that opened and closed."""
    return [(int(line.split()[1]), int(line.split()[2])) for line in lines if line.startswith("closed ")]


@contextlib.asynccontextmanager
async def running_site(directory: Path, image: Path) -> AsyncIterator[VmSite]:
    """Mosquitto listens for TLS only; the services and the dispenser each have an account of their own."""
    files = certificates.make(directory / "certificates")
    settings = Settings(data_dir=directory, http_port=0, broker="external", broker_tls_ca=str(files.authority))
    with contextlib.ExitStack() as stack:
        database = stack.enter_context(contextlib.closing(open_database(settings)))
        flasks = [
            FlaskSetup(number, f"Powder {number}", STOCK_MG, STOCK_MG, flow_mg_per_s=flow, settle_ms=SETTLE_MS)
            for number, flow in FLOWS.items()
        ]
        password = devices.claim(database, DEVICE, name="Kitchen", flasks=flasks, now_ms=now_ms(), by="test")
        service_accounts(directory, database, now_ms())
        tls = Tls(files.broker, files.broker_key)
        accounts = devices.accounts(database)
        server = stack.enter_context(LocalMosquitto(directory / "mosquitto", accounts, tls=tls))
        async with open_house(settings.model_copy(update={"broker_port": server.port})) as house:
            async with asyncio.timeout(20):
                while not all(health.ok for health in house.health):
                    await asyncio.sleep(0.01)
            yield VmSite(house, server, files.authority.read_text(), password, image, directory / "flash")
