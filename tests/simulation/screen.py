"""Somebody in front of a screen: the dashboard's own live feed, and what its viewer has been shown."""

import asyncio
import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from dashboard.ledger_reads import ledger_reads
from dashboard.live import LiveFeed
from dashboard.subscriber import Source, follow
from services.ledger.database import DatabaseUnavailable
from tests.simulation.database import MemoryLedger

# How long a page that was turned away waits before it comes again.
_AGAIN_S = 1.0


class Screen:
    """The board as the page keeps it: the latest value of each key of the feed."""

    def __init__(self) -> None:
        self.shown: dict[str, Any] = {}

    def take(self, frame: str) -> None:
        """As the page folds a frame in."""
        said = json.loads(frame)
        if said["type"] == "snapshot":
            self.shown.clear()
        self.shown.update(said["set"])

    def differs(self, ledger: MemoryLedger) -> list[str]:
        """What it shows that the ledger does not say, in words."""
        wrong = []
        for device, online, job, fault in ledger.rows("SELECT device, online, job, fault FROM device"):
            wrong += self._differs(f"device/{device}", online=bool(online), job=job, fault=fault)
        asked = "SELECT device, flask, stock_mg, reserved_mg FROM flask"
        for device, flask, stock_mg, reserved_mg in ledger.rows(asked):
            wrong += self._differs(f"flask/{device}/{flask}", stock_mg=stock_mg, reserved_mg=reserved_mg)
        asked = (
            "SELECT j.job, j.state, sum(i.state = 'done'), sum(coalesce(i.dispensed_mg, 0)) "
            "FROM job j JOIN job_item i ON i.job = j.job GROUP BY j.job"
        )
        for job, state, done, dispensed_mg in ledger.rows(asked):
            wrong += self._differs(f"job/{job}", state=state, done=done, dispensed_mg=dispensed_mg)
        return wrong

    def _differs(self, key: str, **values: object) -> list[str]:
        shown = self.shown.get(key) or {}
        said = {name: shown.get(name) for name in values}
        return [] if said == values else [f"the screen shows {key} as {said}, the ledger says {values}"]


async def watch(
    ledger: MemoryLedger,
    connect: Callable[[], AbstractAsyncContextManager[Source]],
    now_ms: Callable[[], int],
    screen: Screen,
) -> None:
    """The dashboard, with one page open, until it is killed."""
    feed = LiveFeed(ledger_reads(ledger, asyncio.to_thread), now_ms)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(follow(connect, feed))
        tasks.create_task(feed.run())
        while True:
            try:
                async with feed.watch() as viewer:
                    while True:
                        screen.take(await viewer.next())
            except DatabaseUnavailable:
                await asyncio.sleep(_AGAIN_S)
