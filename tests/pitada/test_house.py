"""What a service in a process of its own is made of."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from pitada.ledger import open_database
from pitada.secrets import service_accounts
from services.clock import now_ms
from services.settings import Settings

ALONE = """
import asyncio, gc, json, sys
from pathlib import Path
from pitada.house import open_service
from services.settings import Settings

async def look():
    settings = Settings(data_dir=Path(sys.argv[1]), broker="external", health_port=0)
    async with open_service(settings, sys.argv[2]):
        print(json.dumps({"frozen": gc.get_freeze_count(), "libraries": list(sys.modules)}))

asyncio.run(look())
"""


@pytest.mark.parametrize("service", ["ingest", "dispatch"])
def test_a_service_alone_spares_the_collector_and_has_nothing_that_only_others_need(
    tmp_path: Path, service: str
) -> None:
    database = open_database(Settings(data_dir=tmp_path))
    service_accounts(tmp_path, database, now_ms())
    database.close()
    ran = subprocess.run(
        [sys.executable, "-c", ALONE, str(tmp_path), service], check=True, capture_output=True, text=True, timeout=60
    )
    said = json.loads(ran.stdout.splitlines()[-1])
    assert said["frozen"] > 10_000
    assert not {"fastapi", "jinja2", "amqtt", "dashboard.app", "broker.server"} & set(said["libraries"])
