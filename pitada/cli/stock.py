"""`pitada refill`, `count` and `resolve`: what an operator does to the stock."""

import getpass
from typing import Annotated

import typer

from pitada.cli.options import AsJson, DatabaseUrl, DataDir, Device, Flask, open_ledger, parse_grams
from pitada.cli.output import console, grams, print_json
from protocol.messages import StockChanged
from services.clock import now_ms
from services.ledger import queries
from services.ledger import stock as ledger_stock
from services.ledger.stock import NotInDoubt

Note = Annotated[str, typer.Option(help="A word for the ledger, such as a batch number.")]


def refill(
    device: Device,
    flask: Flask,
    amount: Annotated[str, typer.Argument(metavar="GRAMS", help="How much was filled in.")],
    note: Note = "",
    as_json: AsJson = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Note that so many grams were filled into a flask."""
    amount_mg = parse_grams(amount)
    with open_ledger(data_dir, database_url).write() as tx:
        held = ledger_stock.refill(tx, device, flask, amount_mg, by=getpass.getuser(), now_ms=now_ms(), note=note)
    _say(f"Filled {grams(amount_mg)} g in", device, flask, held, as_json)


def count(
    device: Device,
    flask: Flask,
    amount: Annotated[str, typer.Argument(metavar="GRAMS", help="What the flask holds by the scales.")],
    note: Note = "",
    as_json: AsJson = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Note what a flask was found to hold: the ledger takes the difference."""
    amount_mg = parse_grams(amount)
    with open_ledger(data_dir, database_url).write() as tx:
        held = ledger_stock.count(tx, device, flask, amount_mg, by=getpass.getuser(), now_ms=now_ms(), note=note)
    _say(f"Counted {grams(amount_mg)} g", device, flask, held, as_json)


def resolve(
    job: Annotated[str, typer.Argument(help="The job's id.")],
    item: Annotated[int, typer.Argument(help="The item's number in the job: `pitada in-doubt`.")],
    dispensed: Annotated[bool, typer.Option("--dispensed", help="All of it left the flask.")] = False,
    not_dispensed: Annotated[bool, typer.Option("--not-dispensed", help="Nothing left the flask.")] = False,
    weighed: Annotated[str | None, typer.Option(metavar="GRAMS", help="So much left the flask.")] = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Say what an item in doubt dispensed, once somebody has looked."""
    if [dispensed, not_dispensed, weighed is not None].count(True) != 1:
        raise typer.BadParameter("say one of --dispensed, --not-dispensed and --weighed GRAMS")
    outcome = "dispensed" if dispensed else "not_dispensed" if not_dispensed else "weighed"
    weighed_mg = None if weighed is None else parse_grams(weighed)
    with open_ledger(data_dir, database_url).write() as tx:
        held = ledger_stock.resolve(
            tx, job, item, outcome=outcome, weighed_mg=weighed_mg, by=getpass.getuser(), now_ms=now_ms()
        )
        view = queries.job(tx, job)
    if view is None:  # its item was just resolved
        raise NotInDoubt(f"there is no job {job}")
    done = view.items[item]
    _say(f"Item {item} gave {grams(done.resolved_mg)} g", view.device, done.flask, held, as_json)


def _say(what: str, device: str, flask: int, held: StockChanged, as_json: bool) -> None:
    if as_json:
        print_json({"device": device, "flask": flask, **held.values()})
        return
    console.print(
        f"{what}: flask {flask} ({held.ingredient}) of {device} holds [bold]{grams(held.stock_mg)} g[/], "
        f"{grams(held.reserved_mg)} g of it reserved.",
        soft_wrap=True,
    )
