"""`pitada calibrate`, `prime` and `calibrations`: how fast a flask flows."""

import getpass
import time
from typing import Annotated

import typer

from pitada.cli.options import AsJson, DatabaseUrl, DataDir, Device, Flask, open_ledger, parse_grams
from pitada.cli.output import console, errors, grams, moment, print_json, print_table
from protocol.errors import ITEM_ERRORS
from protocol.states import JOB_ENDS
from services import calibration
from services.calibration import CalibrationRefused
from services.clock import now_ms
from services.ids import new_id
from services.ledger import calibrations as history
from services.ledger import queries
from services.ledger.database import Database
from services.ledger.views import JobView

Seconds = Annotated[float, typer.Option(min=0.1, max=600, help="How long the flask is open.")]

# A dispenser that is online begins within a second or two; the report follows the close at once.
_START_S = 60
_LOOK_S = 0.2


def calibrate(
    device: Device,
    flask: Flask,
    seconds: Seconds = 3.0,
    weight: Annotated[
        str | None, typer.Option("--grams", help="What the scale says; asked for when not given.")
    ] = None,
    job: Annotated[str | None, typer.Option(help="Weigh an opening that was begun before, instead of another.")] = None,
    wait: Annotated[float, typer.Option(min=0, help="Seconds to wait until the flask has closed.")] = _START_S,
    as_json: AsJson = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Open a flask for a while, weigh what came out, and let that be its flow.

    Put an empty cup under the flask first, and the cup on the scale after.
    """
    database = open_ledger(data_dir, database_url)
    by = getpass.getuser()
    if job is None:
        open_ms = round(seconds * 1000)
        job = calibration.start(database, device, flask, open_ms=open_ms, now_ms=now_ms(), job_id=new_id(), by=by).job
    ended = _closed(database, job, wait + seconds)
    again = f"pitada calibrate {device} {flask} --job {job}"
    if ended is None:
        raise CalibrationRefused(f"{device} has not opened flask {flask} yet. Weigh when it has: `{again}`.")
    found = calibration.finish(database, job, _weighed_mg(ended, weight, again), now_ms=now_ms(), by=by)
    if as_json:
        print_json(found)
        return
    before = f"{found.flow_before_mg_per_s:,} mg/s" if found.flow_before_mg_per_s else "not known"
    name = f"Flask {flask} ({found.ingredient}) of {device}"
    console.print(
        f"{name} flows [bold]{found.flow_mg_per_s:,} mg/s[/]; before: {before}. "
        "The dispenser is told as soon as it is online.",
        soft_wrap=True,
        highlight=False,
    )


def prime(
    device: Device,
    flask: Flask,
    seconds: Seconds = 1.0,
    as_json: AsJson = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Fill a flask's tube: an order for what it gives in so many seconds, debited like every other."""
    database = open_ledger(data_dir, database_url)
    placed = calibration.prime(
        database,
        device,
        flask,
        open_ms=round(seconds * 1000),
        now_ms=now_ms(),
        job_id=new_id(),
        by=getpass.getuser(),
    )
    if as_json:
        print_json(placed)
        return
    console.print(
        f"Job [bold]{placed.job}[/]: {grams(placed.items[0].target_mg)} g through flask {flask} of {device}.",
        soft_wrap=True,
    )


def calibrations(
    device: Device, flask: Flask, as_json: AsJson = False, data_dir: DataDir = None, database_url: DatabaseUrl = None
) -> None:
    """List a flask's calibrations, the latest first."""
    with open_ledger(data_dir, database_url).read() as tx:
        found = history.history(tx, device, flask)
    if as_json:
        print_json(found)
        return
    rows = [
        (
            moment(one.at_ms),
            one.ingredient,
            f"{one.open_ms / 1000:.2f}",
            grams(one.weighed_mg),
            one.flow_before_mg_per_s or "",
            one.flow_mg_per_s,
            one.by,
        )
        for one in found
    ]
    columns = ("when", "ingredient", "open s", "weighed g", "before mg/s", "mg/s", "by")
    print_table("Calibrations", columns, rows, "Not calibrated yet: `pitada calibrate`.")


def _weighed_mg(ended: JobView, weight: str | None, again: str) -> int:
    """What came out: by the option, by the dispenser's own load cell, or as somebody answers."""
    item = ended.items[0]
    if item.error is not None and not item.duration_ms:
        raise CalibrationRefused(f"Job {ended.job} tells no flow. {ITEM_ERRORS[item.error]}")
    if weight is not None:
        return parse_grams(weight)
    said = f"Flask {item.flask} was open for {(item.duration_ms or 0) / 1000:.2f} s."
    if item.dispensed_mg:
        errors.print(f"{said} The dispenser weighed {grams(item.dispensed_mg)} g.", highlight=False, soft_wrap=True)
        return item.dispensed_mg
    errors.print(f"{said} To weigh later: `{again}`.", highlight=False, soft_wrap=True)
    return parse_grams(typer.prompt("Grams on the scale", err=True))


def _closed(database: Database, job: str, wait_s: float) -> JobView | None:
    """The job when it has ended; None when it has not within `wait_s`."""
    give_up_s = time.monotonic() + wait_s
    while True:
        with database.read() as tx:
            found = queries.job(tx, job)
        if found is None:
            raise CalibrationRefused(f"There is no job {job}. Check its id.")
        if found.state in JOB_ENDS:
            return found
        if time.monotonic() >= give_up_s:
            return None
        time.sleep(_LOOK_S)
