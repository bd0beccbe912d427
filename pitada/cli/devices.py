"""`pitada devices`: list, claim, and give a new password."""

import getpass
import re
from typing import Annotated

import typer

from pitada.cli.options import AsJson, DatabaseUrl, DataDir, Device, open_ledger
from pitada.cli.output import console, print_json, print_table
from protocol.errors import FAULTS, REFUSALS
from services import devices
from services.clock import now_ms
from services.devices import FlaskSetup
from services.ledger import queries
from services.ledger.views import DispenserView

app = typer.Typer(help="The dispensers: list, claim, passwords.", no_args_is_help=True)

_FLASK = re.compile(r"(?P<flask>\d+)=(?P<ingredient>[^:]+):(?P<grams>\d+)(?::(?P<flow>\d+))?")


@app.command("list")
def show(as_json: AsJson = False, data_dir: DataDir = None, database_url: DatabaseUrl = None) -> None:
    """List the dispensers, with what they last said."""
    with open_ledger(data_dir, database_url).read() as tx:
        found = queries.dispensers(tx)
    if as_json:
        print_json(found)
        return
    rows = [
        (one.device, one.name, "online" if one.online else "offline", one.job or "", _trouble(one), len(one.flasks))
        for one in found
    ]
    columns = ("dispenser", "name", "link", "job", "trouble", "flasks")
    print_table("Dispensers", columns, rows, "No dispensers yet: `pitada devices claim`.")


@app.command()
def claim(
    device: Annotated[str, typer.Argument(help="Its id: 3 to 32 of a-z, 0-9 and -.")],
    flasks: Annotated[list[str], typer.Argument(help="FLASK=INGREDIENT:GRAMS[:MG_PER_S], e.g. 1=Salt:500:8000")],
    name: Annotated[str, typer.Option(help="What people call it.")] = "",
    as_json: AsJson = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Add a dispenser and print its MQTT password, once."""
    database = open_ledger(data_dir, database_url)
    setups = [_flask(text) for text in flasks]
    password = devices.claim(
        database, device, name=name or device, flasks=setups, now_ms=now_ms(), by=getpass.getuser()
    )
    _say(device, password, as_json)


@app.command("password")
def new_password(
    device: Device,
    as_json: AsJson = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Give a dispenser a new MQTT password; the old one stops working at its next connect."""
    database = open_ledger(data_dir, database_url)
    _say(device, devices.rotate_password(database, device), as_json)


def _trouble(one: DispenserView) -> str:
    """Why it takes no jobs, or refused the last one, and what to do."""
    return FAULTS.get(one.fault or "", "") or REFUSALS.get(one.refusal or "", "")


def _say(device: str, password: str, as_json: bool) -> None:
    claim_code = f"{device}:{password}"
    if as_json:
        print_json({"device": device, "password": password, "claim_code": claim_code})
        return
    console.print(f"{device} signs in with the password [bold]{password}[/] (shown once).", soft_wrap=True)
    console.print(f"Its set-up page takes both as one claim code: [bold]{claim_code}[/]", soft_wrap=True)


def _flask(text: str) -> FlaskSetup:
    match = _FLASK.fullmatch(text)
    if match is None:
        raise typer.BadParameter(f"{text!r} is not FLASK=INGREDIENT:GRAMS[:MG_PER_S], for example 1=Salt:500:8000")
    amount_mg = int(match["grams"]) * 1000
    flow = {} if match["flow"] is None else {"flow_mg_per_s": int(match["flow"])}
    return FlaskSetup(int(match["flask"]), match["ingredient"], amount_mg, amount_mg, **flow)
