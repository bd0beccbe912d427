"""A house for the integration tests: either broker, SQLite, the demo's dispensers, and an operator's account."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from pitada.demo.kitchen import claim_all
from pitada.house import House, open_house
from pitada.ledger import open_database
from pitada.local.mosquitto import LocalMosquitto
from pitada.secrets import service_accounts
from services import devices
from services.clock import now_ms
from services.mqtt import Account
from services.settings import Settings
from simulators.fleet import DispenserSpec

OPERATOR = "op_viewer"


@dataclass(frozen=True)
class TestHouse:
    """A running house, the passwords of its dispensers, and an operator's account."""

    __test__ = False
    house: House
    specs: list[DispenserSpec]
    operator: Account

    def account(self, device: str) -> Account:
        return next(Account(spec.device, spec.password) for spec in self.specs if spec.device == device)


@contextlib.asynccontextmanager
async def running_house(directory: Path, broker: str) -> AsyncIterator[TestHouse]:
    """`broker`: embedded or mosquitto."""
    settings = Settings(data_dir=directory, http_port=0, broker_port=0)
    operator = Account(OPERATOR, secrets.token_urlsafe(20))
    with contextlib.ExitStack() as stack:
        database = open_database(settings)
        stack.callback(database.close)
        specs = claim_all(database, now_ms())
        devices.ensure_service_account(database, operator.user, operator.password, now_ms())
        if broker == "mosquitto":
            service_accounts(directory, database, now_ms())
            accounts = devices.accounts(database)
            server = stack.enter_context(LocalMosquitto(directory / "mosquitto", accounts))
            settings = settings.model_copy(update={"broker": "external", "broker_port": server.port})
        async with open_house(settings) as house:
            async with asyncio.timeout(20):
                while not all(health.ok for health in house.health):
                    await asyncio.sleep(0.01)
            yield TestHouse(house, specs, operator)
