"""The composition root: every part is made and joined here, and nowhere else.

    broker <-> ingest -> ledger <- dispatch <-> broker -> live feed -> browser

`open_house` runs them in one process and one event loop; `open_service` runs one of them, against a broker and a
database that run elsewhere. The ledger works in threads. What only one of them needs is imported when that one is made:
a service that is started again after a crash serves a third sooner without the others' libraries.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pitada.broker_files import write_accounts
from pitada.ledger import named_database, open_database
from pitada.process import spare_the_collector
from pitada.secrets import own_account, service_accounts
from pitada.web import App, health_app, listen, serving
from services import devices, people
from services.clock import now_ms
from services.dispatch import Dispatch
from services.health import Health
from services.ids import new_id
from services.ingest import Ingest
from services.ledger.database import Database, DatabaseUnavailable
from services.mqtt import Account, BrokerAddress, connected
from services.settings import Settings

# How often a service that is ready before its database looks again.
_LOOK_S = 0.5

# How soon a claimed dispenser may sign in: before it has been carried to its place.
_ACCOUNTS_S = 1.0


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


@dataclass(frozen=True)
class _Site:
    """What every service is made of."""

    settings: Settings
    database: Database
    broker: BrokerAddress


@dataclass(frozen=True)
class _Service:
    """One service. `app`, of those that have one, is given the health of everything in its process."""

    health: Health
    run: Callable[[], Any]
    app: Callable[[Sequence[Health]], App] | None = None


@contextlib.asynccontextmanager
async def open_house(settings: Settings) -> AsyncIterator[House]:
    """Everything runs while the block runs. A part that breaks for good ends the block with its error."""
    async with contextlib.AsyncExitStack() as stack:
        database = await asyncio.to_thread(open_database, settings)
        stack.callback(database.close)
        accounts = await asyncio.to_thread(service_accounts, settings.data_dir, database, now_ms())
        address = await stack.enter_async_context(_broker(settings, database))
        site = _Site(settings, database, address)
        services = [make(site, accounts[f"svc_{name}"]) for name, make in SERVICES.items()]
        spare_the_collector()
        health = tuple(service.health for service in services)
        await stack.enter_async_context(_running(*(service.run for service in services)))
        yield House(database, address, await stack.enter_async_context(_http(settings, services)), health)


@contextlib.asynccontextmanager
async def open_service(settings: Settings, name: str) -> AsyncIterator[House]:
    """One of `SERVICES` runs while the block runs; it answers `/healthz` at once, and waits for its database."""
    async with contextlib.AsyncExitStack() as stack:
        database = named_database(settings)
        stack.callback(database.close)
        site = _Site(settings, database, _address(settings))
        account = own_account(settings, f"svc_{name}")
        service = SERVICES[name](site, account)
        spare_the_collector()

        async def run() -> None:
            await _await_tables(database, service.health, account)
            await service.run()

        url = await stack.enter_async_context(_http(settings, [service]))
        await stack.enter_async_context(_running(run))
        yield House(database, site.broker, url, (service.health,))


@contextlib.asynccontextmanager
async def open_accounts(settings: Settings, directory: Path) -> AsyncIterator[House]:
    """Keeps Mosquitto's files in `directory` as the ledger's accounts are, while the block runs."""
    health = Health("accounts", now_ms)
    async with contextlib.AsyncExitStack() as stack:
        database = named_database(settings)
        stack.callback(database.close)

        async def run() -> None:
            await _await_tables(database, health)
            while True:
                try:
                    accounts = await asyncio.to_thread(devices.accounts, database)
                    await asyncio.to_thread(write_accounts, directory, accounts)
                    health.up()
                except DatabaseUnavailable as down:
                    health.down("database", str(down))
                await asyncio.sleep(_ACCOUNTS_S)

        url = await stack.enter_async_context(_http(settings, [_Service(health, run)]))
        await stack.enter_async_context(_running(run))
        yield House(database, _address(settings), url, (health,))


def _ingest(site: _Site, account: Account) -> _Service:
    ingest = Ingest(site.database, lambda: _link(site, account, ingest.health, lasting=True), now_ms)
    return _Service(ingest.health, ingest.run)


def _dispatch(site: _Site, account: Account) -> _Service:
    dispatch = Dispatch(site.database, lambda: _link(site, account, dispatch.health), now_ms)
    return _Service(dispatch.health, dispatch.run)


def _dashboard(site: _Site, account: Account) -> _Service:
    from dashboard import watch
    from dashboard.app import create_app
    from dashboard.deps import Dashboard
    from dashboard.ledger_reads import ledger_reads
    from dashboard.live import LiveFeed
    from dashboard.subscriber import follow

    health = Health("dashboard", now_ms)
    feed = LiveFeed(ledger_reads(site.database), now_ms)
    public_url = site.settings.public_url

    def app(everybody: Sequence[Health]) -> App:
        return create_app(Dashboard(site.database, now_ms, new_id, feed, public_url=public_url, health=everybody))

    async def run() -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(feed.run())
            tasks.create_task(follow(lambda: _link(site, account, health), feed))
            tasks.create_task(watch.health(health, feed, site.database))

    return _Service(health, run, app)


SERVICES: dict[str, Callable[[_Site, Account], _Service]] = {
    "ingest": _ingest,
    "dispatch": _dispatch,
    "dashboard": _dashboard,
}


@contextlib.asynccontextmanager
async def _broker(settings: Settings, database: Database) -> AsyncIterator[BrokerAddress]:
    if settings.broker == "external":
        yield _address(settings)
        return
    from broker.server import EmbeddedBroker

    async with EmbeddedBroker(
        settings.broker_host,
        settings.broker_port,
        authenticate=partial(_knows, database),
        store_path=settings.data_dir / "broker.db",
    ) as broker:
        yield BrokerAddress(settings.broker_host, broker.port)


def _address(settings: Settings) -> BrokerAddress:
    return BrokerAddress(settings.broker_host, settings.broker_port, settings.broker_tls_ca)


def _knows(database: Database, user: str, password: bytes) -> bool:
    return devices.verify(database, user, password.decode("utf-8", errors="replace"))


def _link(site: _Site, account: Account, health: Health, *, lasting: bool = False) -> AbstractAsyncContextManager[Any]:
    refused = partial(health.down, "broker")
    return connected(site.broker, account, persistent=lasting, manual_ack=lasting, on_refusal=refused)


async def _await_tables(database: Database, health: Health, account: Account | None = None) -> None:
    """Migrations are run once, by `pitada migrate`: services that start together only wait for it.

    Returns with `account` able to sign in, however often the database goes away before that.
    """
    while True:
        try:
            if await asyncio.to_thread(database.is_current):
                if account is not None:
                    await asyncio.to_thread(devices.ensure_service_account, database, *account, now_ms())
                return
            health.down("tables", "the tables are of another version")
        except DatabaseUnavailable as down:
            health.down("database", str(down))
        await asyncio.sleep(_LOOK_S)


@contextlib.asynccontextmanager
async def _http(settings: Settings, services: Sequence[_Service]) -> AsyncIterator[str]:
    """The dashboard where there is one, else health alone. Yields the address."""
    health = [service.health for service in services]
    apps = [service.app for service in services if service.app is not None]
    app, host, port, setting = (
        (apps[0](health), settings.http_host, settings.http_port, "PITADA_HTTP_PORT")
        if apps
        else (health_app(health), settings.health_host, settings.health_port, "PITADA_HEALTH_PORT")
    )
    with listen(host, port, setting) as listener:
        url = f"http://{host}:{listener.getsockname()[1]}"
        async with serving(app, listener):
            yield (settings.public_url or url) if apps else url


@contextlib.asynccontextmanager
async def _running(*services: Callable[[], Any]) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(service()) for service in services]
        yield
        for task in running:
            task.cancel()
