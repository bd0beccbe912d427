"""Watches what the dashboard needs, also while nobody looks at it."""

import asyncio

from dashboard.live import LiveFeed
from services.health import Health
from services.ledger.database import Database, DatabaseUnavailable

# A person reads it, or a supervisor that asks every few seconds. Who waits for it to be back waits for every look.
_LOOK_S = 1.0
_LOOK_WHILE_DOWN_S = 0.2


async def health(health: Health, feed: LiveFeed, database: Database) -> None:
    """Keeps `health` true until cancelled."""
    while True:
        try:
            await asyncio.to_thread(database.ping)
        except DatabaseUnavailable as down:
            health.down("database", str(down))
        else:
            # Why the broker is away has been told by the connection that was tried.
            if feed.broker_connected:
                health.up()
            else:
                health.down("broker", "not connected")
        await asyncio.sleep(_LOOK_S if health.ok else _LOOK_WHILE_DOWN_S)
