"""`pitada up` as one process: one address tells how everything in it does."""

import asyncio
import json
import urllib.request
from pathlib import Path

from tests.integration.houses import running_house


def ask(url: str) -> dict[str, object]:
    with urllib.request.urlopen(f"{url}/healthz", timeout=10) as answer:  # noqa: S310  # our own address
        found: dict[str, object] = json.load(answer)
    return found


async def test_one_health_address_covers_all_services(tmp_path: Path) -> None:
    async with running_house(tmp_path, "embedded") as running:
        found = await asyncio.to_thread(ask, running.house.url)
    services = found["services"]
    assert isinstance(services, dict)
    assert {name: one["status"] for name, one in services.items()} == {
        "ingest": "ok",
        "dispatch": "ok",
        "dashboard": "ok",
    }
    assert found["status"] == "ok"
