"""The commands that only look: jobs, a job, stock, what is in doubt, audit."""

from typing import Annotated

import typer

from pitada.cli.options import AsJson, DatabaseUrl, DataDir, Limit, open_ledger
from pitada.cli.output import console, errors, grams, moment, print_json, print_table, recipe_size, state
from protocol.errors import ITEM_ERRORS
from services.ledger import queries
from services.ledger.audit import audit as run_audit
from services.ledger.views import ItemView


def jobs(
    device: Annotated[str | None, typer.Option(help="Only of this dispenser.")] = None,
    limit: Limit = 50,
    as_json: AsJson = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """List jobs, the latest first."""
    with open_ledger(data_dir, database_url).read() as tx:
        found = queries.jobs(tx, device=device, limit=limit)
    if as_json:
        print_json(found)
        return
    rows = [
        (one.job, one.device, state(one.state), moment(one.placed_at_ms), f"{_done(one.items)} of {len(one.items)}")
        for one in found
    ]
    print_table("Jobs", ("job", "dispenser", "state", "ordered", "flasks done"), rows, "No jobs yet: `pitada order`.")


def job(
    job_id: Annotated[str, typer.Argument(metavar="JOB", help="The job's id.")],
    as_json: AsJson = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Show one job and its execution log: which flask failed, and why."""
    with open_ledger(data_dir, database_url).read() as tx:
        found = queries.job(tx, job_id)
        flips = queries.flips(tx, job_id)
    if found is None:
        errors.print(f"There is no job {job_id}: `pitada jobs` lists them.")
        raise typer.Exit(1)
    if as_json:
        print_json({**found.model_dump(), "log": [flip.model_dump() for flip in flips]})
        return
    console.print(f"Job [bold]{found.job}[/] on {found.device}:", state(found.state))
    if found.recipe is not None:
        console.print(f"Made from {recipe_size(found)}.")
    rows = [
        (
            item.flask,
            item.ingredient,
            grams(item.target_mg),
            grams(item.dispensed_mg),
            state(item.state),
            ITEM_ERRORS.get(item.error or "", ""),
        )
        for item in found.items
    ]
    print_table("", ("flask", "ingredient", "target g", "dispensed g", "state", "why"), rows, "It has no items.")
    for flip in flips:
        what = "job" if flip.item is None else f"item {flip.item}"
        console.print(f"{moment(flip.at_ms)}  {what}: {flip.from_state or 'new'} -> {flip.to_state} ({flip.reason})")


def stock(as_json: AsJson = False, data_dir: DataDir = None, database_url: DatabaseUrl = None) -> None:
    """List what every flask holds by the ledger."""
    with open_ledger(data_dir, database_url).read() as tx:
        found = queries.stock(tx)
    if as_json:
        print_json(found)
        return
    rows = [
        (
            one.device,
            one.flask,
            one.ingredient,
            grams(one.stock_mg),
            grams(one.reserved_mg),
            grams(one.available_mg),
            "count it" if one.needs_count else ("low" if one.stock_mg <= one.low_mg else ""),
        )
        for one in found
    ]
    columns = ("dispenser", "flask", "ingredient", "stock g", "reserved g", "available g", "")
    print_table("Stock", columns, rows, "No flasks yet: `pitada devices claim`.")


def in_doubt(as_json: AsJson = False, data_dir: DataDir = None, database_url: DatabaseUrl = None) -> None:
    """List the items of which nobody knows what left the flask: `pitada resolve` settles them."""
    with open_ledger(data_dir, database_url).read() as tx:
        found = queries.in_doubt(tx)
    if as_json:
        print_json(found)
        return
    rows = [(one.job, one.item, one.device, one.flask, one.ingredient, f"0 to {grams(one.target_mg)}") for one in found]
    columns = ("job", "item", "dispenser", "flask", "ingredient", "left the flask g")
    print_table("In doubt", columns, rows, "Nothing is in doubt.")


def audit(as_json: AsJson = False, data_dir: DataDir = None, database_url: DatabaseUrl = None) -> None:
    """Prove that stock equals the sum of its movements and every done item has exactly one. Exit code 1 if not."""
    with open_ledger(data_dir, database_url).read() as tx:
        found = run_audit(tx)
    if as_json:
        print_json(found)
    else:
        console.print(
            f"{found.movements} movements of {found.flasks} flasks, {found.items_done} items done, "
            f"{found.in_doubt} in doubt: {found.divergences} divergences."
        )
        for problem in found.problems:
            console.print(f"  {problem}", style="red")
    if found.divergences:
        raise typer.Exit(1)


def _done(items: tuple[ItemView, ...]) -> int:
    return sum(item.state == "done" for item in items)
