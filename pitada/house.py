"""The composition root: every part is made and joined here, and nowhere else.

    broker <-> ingest -> ledger <- dispatch <-> broker -> live feed -> browser

`open_house` runs them in one process and one event loop; the ledger works in threads.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any

from broker.server import EmbeddedBroker
from dashboard.app import create_app
from dashboard.deps import Dashboard
from dashboard.ledger_reads import ledger_reads
from dashboard.live import LiveFeed
from dashboard.subscriber import follow
from pitada.ledger import open_database
from pitada.process import spare_the_collector
from pitada.secrets import service_accounts
from pitada.web import listen, serving
from services import devices, people
from services.clock import now_ms
from services.dispatch import Dispatch
from services.health import Health
from services.ids import new_id
from services.ingest import Ingest
from services.ledger.database import Database
from services.mqtt import Account, BrokerAddress, connected
from services.settings import Settings


@dataclass(frozen=True)
class House:
    """What runs, and where it is reached."""

    database: Database
    broker: BrokerAddress
    url: str
    health: tuple[Health, ...]

    def sign_in_url(self) -> str:
        """A new link that signs one browser in, once."""
        token = people.new_sign_in_link_token(self.database, now_ms())
        return f"{self.url}/sign-in/{token}"


@contextlib.asynccontextmanager
async def open_house(settings: Settings) -> AsyncIterator[House]:
    """Everything runs while the block runs. A part that breaks for good ends the block with its error."""
    spare_the_collector()
    async with contextlib.AsyncExitStack() as stack:
        database = await asyncio.to_thread(open_database, settings)
        stack.callback(database.close)
        accounts = await asyncio.to_thread(service_accounts, settings.data_dir, database, now_ms())
        address = await stack.enter_async_context(_broker(settings, database))

        ingest = Ingest(database, partial(_link, address, accounts["svc_ingest"], lasting=True), now_ms)
        dispatch = Dispatch(database, partial(_link, address, accounts["svc_dispatch"]), now_ms)
        feed = LiveFeed(ledger_reads(database), now_ms)
        listener = stack.enter_context(listen(settings.http_host, settings.http_port))
        url = settings.public_url or f"http://{settings.http_host}:{listener.getsockname()[1]}"
        app = create_app(Dashboard(database, now_ms, new_id, feed, public_url=settings.public_url))

        await stack.enter_async_context(
            _running(
                ingest.run(),
                dispatch.run(),
                feed.run(),
                follow(partial(_link, address, accounts["svc_dashboard"]), feed),
            )
        )
        await stack.enter_async_context(serving(app, listener))
        yield House(database, address, url, (ingest.health, dispatch.health))


@contextlib.asynccontextmanager
async def _broker(settings: Settings, database: Database) -> AsyncIterator[BrokerAddress]:
    if settings.broker == "external":
        yield BrokerAddress(settings.broker_host, settings.broker_port, settings.broker_tls_ca)
        return
    async with EmbeddedBroker(
        settings.broker_host,
        settings.broker_port,
        authenticate=partial(_knows, database),
        store_path=settings.data_dir / "broker.db",
    ) as broker:
        yield BrokerAddress(settings.broker_host, broker.port)


def _knows(database: Database, user: str, password: bytes) -> bool:
    return devices.verify(database, user, password.decode("utf-8", errors="replace"))


def _link(address: BrokerAddress, account: Account, *, lasting: bool = False) -> AbstractAsyncContextManager[Any]:
    return connected(address, account, persistent=lasting, manual_ack=lasting)


@contextlib.asynccontextmanager
async def _running(*services: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(service) for service in services]
        yield
        for task in running:
            task.cancel()
