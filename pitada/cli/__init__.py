"""`pitada`: the face of the composition root.

Data goes to standard output, logs and errors to standard error. Exit code 0: done; 1: failed, and one sentence says
what to do; 2: misused. A command imports the house only when it runs it: looking something up starts at once.
"""

import sys

import typer

from pitada.cli import (
    backups,
    calibrate,
    dead_letters,
    demo,
    deploy,
    devices,
    flash,
    fleet,
    orders,
    reads,
    recipes,
    serve,
    stock,
    up,
    up_local,
)
from pitada.cli.output import errors

app = typer.Typer(
    help="Runs a fleet of ingredient dispensers over MQTT.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(up.up)
app.command()(up.link)
app.command()(up_local.up_local)
app.command()(serve.migrate)
app.command()(deploy.certificates)
app.command()(deploy.secrets)
app.command()(deploy.broker_config)
app.command()(demo.demo)
app.command()(fleet.fleet)
app.command()(flash.flash)
app.command()(orders.order)
app.command()(orders.cancel)
app.command()(orders.retry)
app.command()(reads.jobs)
app.command()(reads.job)
app.command()(reads.stock)
app.command()(reads.audit)
app.command()(backups.backup)
app.command()(backups.restore)
app.command()(reads.in_doubt)
app.command()(calibrate.calibrate)
app.command()(calibrate.calibrations)
app.command()(calibrate.prime)
app.command()(stock.refill)
app.command()(stock.count)
app.command()(stock.resolve)
app.add_typer(recipes.app, name="recipes")
app.add_typer(dead_letters.app, name="dead-letters")
app.add_typer(devices.app, name="devices")
app.add_typer(serve.app, name="serve")


def main() -> None:
    """Runs the command on the command line."""
    try:
        app()
    except Exception as error:
        from pitada.cli.expected import expected

        known = expected(error)
        if known is None:
            raise
        errors.print(f"[bold red]Error:[/] {known}", soft_wrap=True, highlight=False)
        sys.exit(1)
