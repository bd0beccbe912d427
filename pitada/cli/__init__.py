"""`pitada`: the face of the composition root.

Data goes to standard output, logs and errors to standard error. Exit code 0: done; 1: failed, and one sentence says
what to do; 2: misused.
"""

import sys

import typer

from broker.server import BrokerNotStarted
from broker.store import StoreBroken
from pitada.cli import demo, devices, fleet, orders, reads, up
from pitada.cli.output import errors
from pitada.local.mosquitto import LocalMosquittoError
from pitada.local.postgresql import LocalPostgresqlError
from pitada.secrets import UnsafeSecrets
from pitada.web import PortTaken
from services.devices import DeviceRefused
from services.ledger.database import LedgerError
from services.orders import OrderRefused
from simulators.fleet import FleetBroken

app = typer.Typer(
    help="Runs a fleet of ingredient dispensers over MQTT.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(up.up)
app.command()(up.link)
app.command()(demo.demo)
app.command()(fleet.fleet)
app.command()(orders.order)
app.command()(orders.cancel)
app.command()(orders.retry)
app.command()(reads.jobs)
app.command()(reads.job)
app.command()(reads.stock)
app.command()(reads.audit)
app.command()(reads.dead_letters)
app.add_typer(devices.app, name="devices")

# What can go wrong without being a bug: the text of each says what to do.
EXPECTED = (
    BrokerNotStarted,
    DeviceRefused,
    FleetBroken,
    LedgerError,
    LocalMosquittoError,
    LocalPostgresqlError,
    OrderRefused,
    PortTaken,
    StoreBroken,
    UnsafeSecrets,
)


def main() -> None:
    """Runs the command on the command line."""
    try:
        app()
    except* EXPECTED as expected:
        errors.print(f"[bold red]Error:[/] {_first(expected)}", soft_wrap=True)
        sys.exit(1)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error
