"""`pitada up-local`."""

import signal
import threading
from pathlib import Path
from typing import Annotated

import typer

from pitada.cli.output import configure_logs, console, print_json


def up_local(
    directory: Annotated[Path, typer.Option(help="Where everything is kept.")] = Path("pitada-local"),
    http_port: Annotated[int, typer.Option(help="Port of the dashboard; 0: any free one.")] = 8080,
    broker_port: Annotated[int, typer.Option(help="Port of Mosquitto; 0: any free one.")] = 8883,
) -> None:
    """Run Mosquitto with TLS, PostgreSQL, ingest, dispatch and dashboard as five processes, until Ctrl-C."""
    from pitada.local.up import up_local

    configure_logs()
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: stop.set())
    with up_local(directory, http_port=http_port, broker_port=broker_port) as house:
        sign_in = house.sign_in_url()
        if console.is_terminal:
            console.print(
                f"\n  Open [bold cyan]{sign_in}[/]  (works once; `pitada link` makes another). Stop with Ctrl-C.",
                soft_wrap=True,
            )
            console.print(f"  Other commands, in another terminal, after: . {house.settings_file}\n", soft_wrap=True)
        else:
            print_json(
                {
                    "sign_in": sign_in,
                    "settings": str(house.settings_file),
                    "urls": house.urls,
                    "pids": house.supervisor.pids(),
                }
            )
        house.watch(stop)
