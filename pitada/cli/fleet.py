"""`pitada fleet`."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from rich.live import Live
from rich.text import Text

from pitada.cli.options import AsJson, DatabaseUrl, DataDir, settings_from
from pitada.cli.output import configure_logs, console, errors, print_json
from pitada.cli.summary import show_summary
from pitada.cli.up import stop_on_signal
from pitada.ledger import open_database
from services import devices
from services.clock import now_ms
from services.devices import DeviceExists, FlaskSetup
from services.ledger.database import Database
from simulators.faults import PLANS
from simulators.flask import FlaskSpec
from simulators.fleet import DispenserSpec, Fleet
from simulators.truth import FlaskLedger

if TYPE_CHECKING:
    from pitada.demo.summary import Summary

# Four flasks are usual; 10 kg each lasts for any test.
FLASKS = 4
CONTENTS_MG = 10_000_000
FLOW_MG_PER_S = 20_000

# Screen refreshes a second: smooth, and little work.
_REFRESH_S = 0.25


def fleet(
    dispensers: Annotated[int, typer.Option(min=1, max=10_000, help="How many.")] = 3,
    seed: Annotated[int, typer.Option(help="The same seed breaks the same.")] = 1,
    plan: Annotated[str, typer.Option(help=f"How bad the network and the power are: {', '.join(PLANS)}.")] = "home",
    prefix: Annotated[str, typer.Option(help="Their ids begin with this.")] = "sim",
    broker_host: Annotated[str | None, typer.Option(help="Address of the broker.")] = None,
    broker_port: Annotated[int | None, typer.Option(help="Port of the broker.")] = None,
    broker_tls_ca: Annotated[str | None, typer.Option(help="Certificates to trust for a TLS broker.")] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="Order so many jobs, and judge when they have ended.")] = None,
    exit_when_done: Annotated[bool, typer.Option("--exit", help="End when the jobs have ended.")] = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Run simulated dispensers against a running house, until Ctrl-C. They are claimed where they are not yet."""
    from pitada.demo.summary import flask_ledger

    if plan not in PLANS:
        raise typer.BadParameter(f"{plan!r} is not one of {', '.join(PLANS)}", param_hint="--plan")
    if exit_when_done and jobs is None:
        raise typer.BadParameter("--exit needs --jobs: without it the fleet has no end")
    settings = settings_from(
        data_dir=data_dir,
        database_url=database_url,
        broker_host=broker_host,
        broker_port=broker_port,
        broker_tls_ca=broker_tls_ca,
    )
    configure_logs()
    database = open_database(settings)
    before = flask_ledger(database)
    specs = [_spec(database, f"{prefix}-{number:04}") for number in range(1, dispensers + 1)]
    running = Fleet(
        specs,
        settings.broker_host,
        settings.broker_port,
        seed=seed,
        plan=plan,
        flash_dir=settings.data_dir / "simulated-flash",
        tls=None if settings.broker_tls_ca is None else ssl.create_default_context(cafile=settings.broker_tls_ca),
    )
    if jobs is not None:
        summary = asyncio.run(_run_jobs(running, database, before, jobs, seed, exit_when_done))
        if summary is not None:
            show_summary("The fleet", summary, as_json)
        if summary is None or not summary.clean:
            raise typer.Exit(1)
        return
    asyncio.run(_run(running))
    result = {"dispensers": dispensers, "boots": running.boots, "openings": running.openings, "faults": running.faults}
    if as_json:
        print_json(result)
    else:
        console.print(str(running))


async def _run(fleet: Fleet) -> None:
    stop = stop_on_signal()
    with _screen() as show:
        async with fleet:
            while not stop.is_set():
                show(str(fleet))
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), _REFRESH_S)


async def _run_jobs(
    fleet: Fleet, database: Database, before: Sequence[FlaskLedger], jobs: int, seed: int, exit_when_done: bool
) -> Summary | None:
    """None when it was stopped before its jobs ended."""
    from pitada.demo.orders import order_and_wait
    from pitada.demo.summary import summarise

    stop = asyncio.create_task(stop_on_signal().wait())
    started_s = time.monotonic()
    async with fleet:
        ordering = asyncio.create_task(order_and_wait(database, fleet.specs, jobs, seed))
        try:
            await asyncio.wait((ordering, stop), return_when=asyncio.FIRST_COMPLETED)
            if not ordering.done():
                return None
            ordering.result()
            summary = await asyncio.to_thread(summarise, database, fleet, time.monotonic() - started_s, before)
            if not exit_when_done:
                await stop
            return summary
        finally:
            ordering.cancel()
            stop.cancel()


def _spec(database: Database, device: str) -> DispenserSpec:
    """Claims the dispenser; one that is claimed already gets a new password, for the old one is nowhere kept."""
    flasks = range(1, FLASKS + 1)
    setups = [FlaskSetup(flask, f"Ingredient {flask}", CONTENTS_MG, CONTENTS_MG, FLOW_MG_PER_S) for flask in flasks]
    try:
        password = devices.claim(database, device, name=device, flasks=setups, now_ms=now_ms(), by=getpass.getuser())
    except DeviceExists:
        password = devices.rotate_password(database, device)
    return DispenserSpec(device, password, [FlaskSpec(flask, CONTENTS_MG, FLOW_MG_PER_S) for flask in flasks])


@contextlib.contextmanager
def _screen() -> Iterator[Callable[[str], None]]:
    """One line that is written anew, on a terminal; nothing elsewhere."""
    if not errors.is_terminal:
        yield lambda _text: None
        return
    with Live(console=errors, auto_refresh=False, transient=True) as live:
        yield lambda text: live.update(Text(text), refresh=True)
