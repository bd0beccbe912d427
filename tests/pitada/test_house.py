"""What a service in a process of its own is made of."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pitada import house
from pitada.house import open_service
from pitada.ledger import open_database
from pitada.local.ports import free_port
from pitada.secrets import service_accounts
from services import devices
from services.clock import now_ms
from services.ledger.database import DatabaseUnavailable
from services.settings import Settings

ALONE = """
import asyncio, gc, json, sys
from pathlib import Path
from pitada import cli
from pitada.house import open_service
from services.settings import Settings

async def look():
    settings = Settings(data_dir=Path(sys.argv[1]), broker="external", health_port=0, http_port=0)
    async with open_service(settings, sys.argv[2]):
        print(json.dumps({"frozen": gc.get_freeze_count(), "libraries": list(sys.modules)}))

asyncio.run(look())
"""


# What only a new version of the tables needs, or the embedded broker, or a fleet.
NEVER = {"alembic", "amqtt", "broker.server", "firmware.core", "simulators.fleet"}
PAGES = {"fastapi", "jinja2", "dashboard.app"}


@pytest.mark.parametrize(("service", "others"), [("ingest", PAGES), ("dispatch", PAGES), ("dashboard", set())])
def test_a_service_alone_spares_the_collector_and_has_nothing_that_only_others_need(
    tmp_path: Path, service: str, others: set[str]
) -> None:
    with_accounts(Settings(data_dir=tmp_path))
    ran = subprocess.run(
        [sys.executable, "-c", ALONE, str(tmp_path), service], check=True, capture_output=True, text=True, timeout=60
    )
    said = json.loads(ran.stdout.splitlines()[-1])
    assert said["frozen"] > 10_000
    assert (NEVER | others) & set(said["libraries"]) == set()


async def test_a_service_whose_database_goes_away_in_the_middle_of_its_start_waits_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(data_dir=tmp_path, broker="external", broker_port=free_port(), health_port=0)
    with_accounts(settings)
    tries = []
    real = devices.ensure_service_account

    def unsteady(*arguments: Any) -> None:
        tries.append(arguments)
        if len(tries) == 1:
            raise DatabaseUnavailable("it was killed just now")
        real(*arguments)

    monkeypatch.setattr(devices, "ensure_service_account", unsteady)
    monkeypatch.setattr(house, "spare_the_collector", lambda: None)
    async with open_service(settings, "dispatch") as running, asyncio.timeout(10):
        while len(tries) < 2 or running.health[0].needs != "broker":
            await asyncio.sleep(0.01)


def with_accounts(settings: Settings) -> None:
    database = open_database(settings)
    service_accounts(settings.data_dir, database, now_ms())
    database.close()
