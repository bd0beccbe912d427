"""`pitada fleet`."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pitada.cli.fleet_screen import screen, show_result
from pitada.cli.options import AsJson, BrokerHost, BrokerPort, BrokerTlsCa, DatabaseUrl, DataDir, settings_from
from pitada.cli.output import configure_logs, errors
from pitada.cli.up import stop_on_signal
from pitada.ledger import open_database
from pitada.process import raise_open_files
from services import people
from services.clock import now_ms
from services.ledger.database import Database
from services.mqtt import BrokerAddress
from services.settings import Settings
from simulators.faults import ADDED, DEMO, PLANS, SLOW_FLASH, plan_named, slow_save_ms
from simulators.ramp import RAMP_PER_S

if TYPE_CHECKING:
    from pitada.fleet.api import Api
    from pitada.fleet.orders import Orders
    from pitada.fleet.run import FleetRun
    from simulators.fleet import DispenserSpec, Fleet

# Beside a socket for each dispenser: the ledger, the requests, and streams that a fault left half-open.
_OTHER_FILES = 300

FAULTS = (*ADDED, SLOW_FLASH)


def fleet(
    dispensers: Annotated[int, typer.Option(min=1, max=20_000, help="How many.")] = 3,
    seed: Annotated[int, typer.Option(help="The same seed orders the same and breaks the same.")] = 1,
    plan: Annotated[str, typer.Option(help=f"How bad the network and the power are: {', '.join(PLANS)}.")] = "home",
    fault: Annotated[
        list[str] | None, typer.Option(help=f"Much more of this, on top: {', '.join(FAULTS)}. May be repeated.")
    ] = None,
    prefix: Annotated[str, typer.Option(help="Their ids begin with this.")] = "sim",
    ramp: Annotated[int, typer.Option(min=1, help="Switch on so many a second.")] = RAMP_PER_S,
    jobs: Annotated[int | None, typer.Option(min=1, help="Order so many jobs, and judge when they have ended.")] = None,
    rate: Annotated[
        float | None, typer.Option(min=0.01, help="Order so many jobs a second; without --jobs, for ever.")
    ] = None,
    exit_when_done: Annotated[bool, typer.Option("--exit", help="End when the jobs have ended.")] = False,
    url: Annotated[str | None, typer.Option(help="Address of the dashboard, where the orders are placed.")] = None,
    broker_host: BrokerHost = None,
    broker_port: BrokerPort = None,
    broker_tls_ca: BrokerTlsCa = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Run simulated dispensers against a running house, until Ctrl-C. They are claimed where they are not yet.

    With --jobs or --rate it orders too, through the API, as a user does. At the end the ledger is judged by what left
    the flasks.
    """
    from pitada.demo.summary import flask_ledger
    from pitada.fleet.accounts import claim_fleet
    from pitada.fleet.run import FleetRun

    faults = fault or []
    _check(plan, faults, jobs, exit_when_done)
    settings = settings_from(
        data_dir=data_dir,
        database_url=database_url,
        broker_host=broker_host,
        broker_port=broker_port,
        broker_tls_ca=broker_tls_ca,
    )
    configure_logs()
    _allow_sockets(dispensers)
    database = open_database(settings)
    api = None if jobs is None and rate is None else _signed_in(database, url or _dashboard(settings))
    before = flask_ledger(database)
    names = [f"{prefix}-{number:04}" for number in range(1, dispensers + 1)]
    if errors.is_terminal:
        errors.print(f"Claiming {dispensers:,} dispensers …")
    running = _fleet(settings, claim_fleet(database, names), plan, faults, seed, ramp)
    orders = None if api is None else _orders(api, running, jobs, rate, seed)
    run = FleetRun(running, orders, database, before, dispensers / ramp)
    address = BrokerAddress(settings.broker_host, settings.broker_port, settings.broker_tls_ca)
    result = asyncio.run(_run(run, running, address, exit_when_done))
    show_result(result, as_json)
    if result["divergences"] or result["double_dispenses"]:
        raise typer.Exit(1)


def _fleet(
    settings: Settings, specs: Sequence[DispenserSpec], plan: str, faults: Sequence[str], seed: int, ramp_per_s: int
) -> Fleet:
    from simulators.fleet import Fleet

    if SLOW_FLASH in faults:
        specs = [spec._replace(save_ms=slow_save_ms(seed, spec.device)) for spec in specs]
    more = [kind for kind in faults if kind in ADDED]
    return Fleet(
        specs,
        settings.broker_host,
        settings.broker_port,
        seed=seed,
        plan=plan_named(plan, seed, [spec.device for spec in specs], more),
        flash_dir=settings.data_dir / "simulated-flash",
        tls=None if settings.broker_tls_ca is None else ssl.create_default_context(cafile=settings.broker_tls_ca),
        ramp_per_s=ramp_per_s,
    )


def _check(plan: str, fault: Sequence[str], jobs: int | None, exit_when_done: bool) -> None:
    if plan not in PLANS:
        raise typer.BadParameter(f"{plan!r} is not one of {', '.join(PLANS)}", param_hint="--plan")
    for kind in fault:
        if kind not in FAULTS:
            raise typer.BadParameter(f"{kind!r} is not one of {', '.join(FAULTS)}", param_hint="--fault")
    if plan == DEMO and any(kind in ADDED for kind in fault):
        raise typer.BadParameter("the plan demo has its own faults: choose another plan", param_hint="--fault")
    if exit_when_done and jobs is None:
        raise typer.BadParameter("--exit needs --jobs: without it the fleet has no end")


def _allow_sockets(dispensers: int) -> None:
    needed = dispensers + _OTHER_FILES
    allowed = raise_open_files(needed)
    if allowed < needed:
        raise typer.BadParameter(
            f"{dispensers} dispensers need {needed} open files, and this process may have {allowed}. Run as many as "
            f"that allows, or allow more: `ulimit -n {needed}` in a root shell, or nofile in "
            "/etc/security/limits.conf and a new login."
        )


def _dashboard(settings: Settings) -> str:
    return settings.public_url or f"http://{settings.http_host}:{settings.http_port}"


def _signed_in(database: Database, url: str) -> Api:
    """Before anything is claimed: a dashboard that is not there is said at once."""
    from pitada.fleet.api import Api

    api = Api(url, lambda: people.new_sign_in_link_token(database, now_ms(), user="fleet"))
    api.sign_in()
    return api


def _orders(api: Api, fleet: Fleet, jobs: int | None, rate: float | None, seed: int) -> Orders:
    from pitada.fleet.orders import Orders

    return Orders(api, fleet, jobs=jobs, per_s=rate, seed=seed)


async def _run(run: FleetRun, fleet: Fleet, address: BrokerAddress, exit_when_done: bool) -> dict[str, Any]:
    from pitada.fleet.accounts import known_to_broker

    await known_to_broker(address, fleet.specs[-1])
    stop = stop_on_signal()
    with screen() as show:
        async with fleet:
            return await run.until(stop, show, exit_when_done=exit_when_done)
