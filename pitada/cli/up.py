"""`pitada up` and `pitada link`."""

import asyncio
import signal
from typing import Annotated

import typer

from pitada.cli.options import BrokerHost, BrokerPort, BrokerTlsCa, DatabaseUrl, DataDir, settings_from
from pitada.cli.output import configure_logs, console, print_json
from pitada.ledger import open_database
from services import people
from services.clock import now_ms
from services.settings import Settings


def up(
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
    broker: Annotated[str | None, typer.Option(help="embedded, or external: one that already runs.")] = None,
    broker_host: BrokerHost = None,
    broker_port: BrokerPort = None,
    broker_tls_ca: BrokerTlsCa = None,
    http_host: Annotated[str | None, typer.Option(help="Address of the dashboard.")] = None,
    http_port: Annotated[int | None, typer.Option(help="Port of the dashboard; 0: any free one.")] = None,
    public_url: Annotated[str | None, typer.Option(help="Address people reach the dashboard at.")] = None,
) -> None:
    """Run the broker, the services and the dashboard in this process, until Ctrl-C."""
    configure_logs()
    asyncio.run(
        _up(
            settings_from(
                data_dir=data_dir,
                database_url=database_url,
                broker=broker,
                broker_host=broker_host,
                broker_port=broker_port,
                broker_tls_ca=broker_tls_ca,
                http_host=http_host,
                http_port=http_port,
                public_url=public_url,
            )
        )
    )


def link(data_dir: DataDir = None, database_url: DatabaseUrl = None) -> None:
    """Print a new one-time sign-in link for the dashboard."""
    settings = settings_from(data_dir=data_dir, database_url=database_url)
    database = open_database(settings)
    token = people.new_sign_in_link_token(database, now_ms())
    base = settings.public_url or f"http://{settings.http_host}:{settings.http_port}"
    console.print(f"{base}/sign-in/{token}", soft_wrap=True)


def stop_on_signal() -> asyncio.Event:
    """Set when the process is asked to end (Ctrl-C or SIGTERM)."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    return stop


async def _up(settings: Settings) -> None:
    from pitada.house import open_house

    stop = stop_on_signal()
    async with open_house(settings) as house:
        sign_in = await asyncio.to_thread(house.sign_in_url)
        if console.is_terminal:
            console.print(
                f"\n  Open [bold cyan]{sign_in}[/]  (works once; `pitada link` makes another)", soft_wrap=True
            )
            console.print(f"  Dispensers connect to {house.broker.host}:{house.broker.port}. Stop with Ctrl-C.\n")
        else:
            print_json({"sign_in": sign_in, "broker_host": house.broker.host, "broker_port": house.broker.port})
        await stop.wait()
