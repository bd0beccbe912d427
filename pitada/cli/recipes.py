"""`pitada recipes`: list, show, save, delete."""

import getpass
from typing import Annotated

import typer

from pitada.cli.options import AsJson, DatabaseUrl, DataDir, open_ledger, parse_ingredient
from pitada.cli.output import console, grams, moment, print_json, print_table
from services import recipes
from services.clock import now_ms
from services.ledger.views import RecipeView

app = typer.Typer(help="Recipes: grams per ingredient, for any dispenser.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="The recipe's name, in any spelling of case and spaces.")]
Version = Annotated[int | None, typer.Option(min=1, help="Only if this is still its version.")]


@app.command("list")
def show_all(
    after: Annotated[str, typer.Option(help="Begin after this name.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most this many, by name.")] = 200,
    as_json: AsJson = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """List the recipes."""
    with open_ledger(data_dir, database_url).read() as tx:
        found = recipes.page(tx, after, limit)
    if as_json:
        print_json(found)
        return
    rows = [
        (one.name, one.version, grams(one.total_mg), ", ".join(item.ingredient for item in one.items)) for one in found
    ]
    columns = ("recipe", "version", "total g", "ingredients")
    print_table("Recipes", columns, rows, "No recipes yet: `pitada recipes save`.")


@app.command()
def show(name: Name, as_json: AsJson = False, data_dir: DataDir = None, database_url: DatabaseUrl = None) -> None:
    """Show one recipe."""
    with open_ledger(data_dir, database_url).read() as tx:
        found = recipes.current(tx, name)
    if as_json:
        print_json(found)
        return
    console.print(f"[bold]{found.name}[/], version {found.version}, by {found.by} on {moment(found.at_ms)}")
    rows = [(item.ingredient, grams(item.amount_mg)) for item in found.items]
    print_table("", ("ingredient", "amount g"), [*rows, ("in all", grams(found.total_mg))], "")


@app.command()
def save(
    name: Name,
    ingredients: Annotated[list[str], typer.Argument(help="INGREDIENT=GRAMS, for example 'Sea salt=12.5'")],
    version: Version = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Save a recipe: a new one, or the next version of the one that has this name."""
    items = [parse_ingredient(text) for text in ingredients]
    database = open_ledger(data_dir, database_url)
    by, now = getpass.getuser(), now_ms()
    expected = version
    if expected is None:
        with database.read() as tx:
            expected = recipes.latest_version(tx, name)
    if expected is None:
        saved = recipes.create(database, name, items, by=by, now_ms=now)
    else:
        saved = recipes.change(database, name, items, expected_version=expected, by=by, now_ms=now)
    _say(saved, as_json)


@app.command()
def delete(
    name: Name,
    version: Version = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Take a recipe out of use. Jobs made from it go on naming it; saving the name again begins a further version."""
    database = open_ledger(data_dir, database_url)
    with database.read() as tx:
        found = recipes.current(tx, name)
    recipes.archive(database, name, expected_version=version or found.version, by=getpass.getuser(), now_ms=now_ms())
    if as_json:
        print_json({"name": found.name, "deleted": True})
    else:
        console.print(f"Deleted recipe {found.name}.")


def _say(saved: RecipeView, as_json: bool) -> None:
    if as_json:
        print_json(saved)
        return
    items = ", ".join(f"{grams(item.amount_mg)} g {item.ingredient}" for item in saved.items)
    console.print(
        f"Saved recipe [bold]{saved.name}[/], version {saved.version}: {items}; {grams(saved.total_mg)} g in all.",
        soft_wrap=True,
    )
