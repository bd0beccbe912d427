"""`pitada order`, `cancel` and `retry`."""

import getpass
from typing import Annotated

import typer

from pitada.cli.options import AsJson, DatabaseUrl, DataDir, open_ledger, parse_item, parse_scale, parse_span_ms
from pitada.cli.output import console, grams, print_json, recipe_size
from services import orders
from services.clock import now_ms
from services.ids import new_id
from services.ledger.views import JobView
from services.orders import OrderedItem, OrderedRecipe


def order(
    device: Annotated[str, typer.Argument(help="The dispenser.")],
    items: Annotated[list[str] | None, typer.Argument(help="FLASK=GRAMS, for example 1=5 2=12.5")] = None,
    recipe: Annotated[str | None, typer.Option(help="A recipe instead: `pitada recipes list`.")] = None,
    scale: Annotated[str | None, typer.Option(help="So many times the recipe, e.g. 2 or 0.5.")] = None,
    total: Annotated[str | None, typer.Option(help="So many grams of the recipe in all, e.g. 500g.")] = None,
    expires: Annotated[str | None, typer.Option(help="Give up when it has not begun by then: 90s, 10m, 2h.")] = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Order a job from one dispenser: grams from flasks, or a recipe."""
    wanted = _wanted(items or [], recipe, scale, total)
    now = now_ms()
    placed = orders.place(
        open_ledger(data_dir, database_url),
        device=device,
        items=wanted,
        now_ms=now,
        job_id=new_id(),
        by=getpass.getuser(),
        expires_at_ms=None if expires is None else now + parse_span_ms(expires),
    )
    _say("Ordered", placed, as_json)


def cancel(
    job: Annotated[str, typer.Argument(help="The job's id.")],
    as_json: AsJson = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Cancel a job: at once while it is queued, else by asking the dispenser to stop."""
    database = open_ledger(data_dir, database_url)
    cancelled = orders.cancel(database, job, by=getpass.getuser(), now_ms=now_ms())
    _say("Cancelled" if cancelled.state == "cancelled" else "Asked the dispenser to stop", cancelled, as_json)


def retry(
    job: Annotated[str, typer.Argument(help="The job's id.")],
    as_json: AsJson = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Order again what failed in a job, and nothing that was dispensed."""
    database = open_ledger(data_dir, database_url)
    again = orders.retry(database, job, now_ms=now_ms(), new_job_id=new_id(), by=getpass.getuser())
    _say("Ordered again", again, as_json)


def _wanted(
    items: list[str], recipe: str | None, scale: str | None, total: str | None
) -> list[OrderedItem] | OrderedRecipe:
    if recipe is None:
        if scale is not None or total is not None:
            raise typer.BadParameter("--scale and --total go with --recipe")
        if not items:
            raise typer.BadParameter("order FLASK=GRAMS, for example 1=5, or --recipe NAME")
        return [parse_item(item) for item in items]
    if items:
        raise typer.BadParameter("order either flasks or a recipe")
    return OrderedRecipe(recipe, parse_scale(scale, total))


def _say(what: str, job: JobView, as_json: bool) -> None:
    if as_json:
        print_json(job)
        return
    items = ", ".join(f"{grams(item.target_mg)} g {item.ingredient} (flask {item.flask})" for item in job.items)
    of = "" if job.recipe is None else f", {recipe_size(job)}"
    console.print(f"{what}: job [bold]{job.job}[/] on {job.device}{of}: {items}.", soft_wrap=True)
