"""`pitada migrate`, and `pitada serve`: one service in a process of its own."""

import asyncio
import contextlib
from pathlib import Path
from typing import Annotated, Any

import typer

from pitada.cli.options import BrokerHost, BrokerPort, BrokerTlsCa, DatabaseUrl, DataDir, settings_from
from pitada.cli.output import configure_logs, console, print_json
from pitada.cli.up import stop_on_signal
from pitada.ledger import open_database
from pitada.secrets import service_accounts
from protocol.access import SERVICE_ACCOUNTS
from services import devices
from services.clock import now_ms
from services.settings import Settings

app = typer.Typer(help="Run one service, against a broker and a database that run elsewhere.", no_args_is_help=True)

HealthPort = Annotated[int | None, typer.Option(help="Port of /healthz; 0: any free one.")]


def migrate(
    tables_only: Annotated[
        bool, typer.Option("--tables-only", help="The services bring password files of their own.")
    ] = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Bring the database's tables to this version, once, before its services start; make the services' passwords."""
    settings = settings_from(data_dir=data_dir, database_url=database_url)
    with contextlib.closing(open_database(settings)) as database:
        # A service with a password file of its own has set its own account: that one stays as it is.
        if not tables_only and not SERVICE_ACCOUNTS.keys() <= devices.accounts(database).keys():
            service_accounts(settings.data_dir, database, now_ms())
    console.print("The tables are of this version.")


def _settling(service: str, what: str) -> None:
    """`pitada serve SERVICE`, for a service without pages."""

    @app.command(service, help=f"{what}, until Ctrl-C or SIGTERM.")
    def serve(
        data_dir: DataDir = None,
        database_url: DatabaseUrl = None,
        broker_host: BrokerHost = None,
        broker_port: BrokerPort = None,
        broker_tls_ca: BrokerTlsCa = None,
        health_port: HealthPort = None,
    ) -> None:
        _run(
            service,
            data_dir=data_dir,
            database_url=database_url,
            broker_host=broker_host,
            broker_port=broker_port,
            broker_tls_ca=broker_tls_ca,
            health_port=health_port,
        )


_settling("ingest", "Settle what dispensers report")
_settling("dispatch", "Send orders to dispensers")


@app.command()
def dashboard(
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
    broker_host: BrokerHost = None,
    broker_port: BrokerPort = None,
    broker_tls_ca: BrokerTlsCa = None,
    http_host: Annotated[str | None, typer.Option(help="Address of the dashboard.")] = None,
    http_port: Annotated[int | None, typer.Option(help="Port of the dashboard; 0: any free one.")] = None,
    public_url: Annotated[str | None, typer.Option(help="Address people reach the dashboard at.")] = None,
) -> None:
    """Serve pages, REST and the live feed, until Ctrl-C or SIGTERM."""
    _run(
        "dashboard",
        data_dir=data_dir,
        database_url=database_url,
        broker_host=broker_host,
        broker_port=broker_port,
        broker_tls_ca=broker_tls_ca,
        http_host=http_host,
        http_port=http_port,
        public_url=public_url,
    )


@app.command()
def accounts(
    directory: Annotated[Path, typer.Argument(help="Where `pitada broker-config` wrote Mosquitto's files.")],
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
    health_port: HealthPort = None,
) -> None:
    """Keep Mosquitto's accounts as the ledger has them, until Ctrl-C or SIGTERM."""
    configure_logs()
    settings = settings_from(data_dir=data_dir, database_url=database_url, health_port=health_port)
    asyncio.run(_keep_accounts(directory.absolute(), settings))


def _run(service: str, **flags: Any) -> None:
    configure_logs()
    asyncio.run(_serve(service, settings_from(**flags, broker="external")))


async def _keep_accounts(directory: Path, settings: Settings) -> None:
    from pitada.house import open_accounts

    stop = stop_on_signal()
    async with open_accounts(settings, directory) as running:
        print_json({"service": "accounts", "url": running.url})
        await stop.wait()


async def _serve(service: str, settings: Settings) -> None:
    from pitada.house import open_service

    stop = stop_on_signal()
    async with open_service(settings, service) as running:
        print_json({"service": service, "url": running.url})
        await stop.wait()
