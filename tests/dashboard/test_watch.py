"""The dashboard's health is what it can reach, also while nobody looks at it."""

import asyncio
from pathlib import Path

from dashboard import watch
from dashboard.live import LiveFeed
from services.health import WORDS, Health
from services.ledger.database import Database, DatabaseUnavailable


class Unsteady(Database):
    """A ledger that can be taken away."""

    away = False

    def ping(self) -> None:
        if self.away:
            raise DatabaseUnavailable("the database does not answer")
        super().ping()


async def test_it_names_the_broker_then_the_database_then_nothing(feed: LiveFeed, tmp_path: Path) -> None:
    database = Unsteady(f"sqlite:///{tmp_path / 'ledger.db'}")
    health = Health("dashboard", lambda: 0)
    feed.source_lost()

    async def until(why: str | None) -> None:
        async with asyncio.timeout(15):
            while health.picture().get("why") != why:
                await asyncio.sleep(0.01)

    watching = asyncio.create_task(watch.health(health, feed, database))
    try:
        await until(WORDS["broker"])
        database.away = True
        await until(WORDS["database"])
        database.away = False
        feed.source_back()
        await until(None)
        assert health.ok
    finally:
        watching.cancel()
        database.close()
