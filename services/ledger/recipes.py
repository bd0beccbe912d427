"""The versions of recipes. `recipe` is always the name in its shared form; amounts in mg."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Select, func, select, tuple_

from services.ledger import tables
from services.ledger.inserts import insert_all, insert_new
from services.ledger.views import IngredientView, RecipeView

_recipe, _item = tables.recipe, tables.recipe_item


def latest(tx: Connection, recipe: str) -> tuple[int, bool]:
    """(version, archived) of the recipe as it is; (0, True) when there never was one."""
    asked = select(_recipe.c.version, _recipe.c.archived).where(_recipe.c.recipe == recipe)
    found = tx.execute(asked.order_by(_recipe.c.version.desc()).limit(1)).first()
    return (0, True) if found is None else (found.version, found.archived)


def add_version(
    tx: Connection,
    recipe: str,
    version: int,
    name: str,
    items: Sequence[tuple[str, int]],
    *,
    archived: bool = False,
    by: str,
    now_ms: int,
) -> bool:
    """Write the version with its (ingredient, amount_mg). False: somebody else wrote this version before."""
    key = {"recipe": recipe, "version": version}
    if not insert_new(tx, _recipe, {**key, "name": name, "archived": archived, "at_ms": now_ms, "by": by}):
        return False
    rows = [
        {**key, "position": position, "ingredient": ingredient, "amount_mg": amount_mg}
        for position, (ingredient, amount_mg) in enumerate(items)
    ]
    insert_all(tx, _item, rows)
    return True


def version(tx: Connection, recipe: str, number: int) -> RecipeView | None:
    """The recipe in that version; None: there is no such version, or it says that the recipe is archived."""
    one = select(_recipe).where(_recipe.c.recipe == recipe, _recipe.c.version == number)
    return next(iter(_with_items(tx, one.where(_recipe.c.archived.is_(False)))), None)


def page(tx: Connection, after: str, limit: int) -> tuple[RecipeView, ...]:
    """The recipes as they are, by name, from the one after `after`; archived ones are left out."""
    newer = _recipe.alias("newer")
    last = select(func.max(newer.c.version)).where(newer.c.recipe == _recipe.c.recipe).scalar_subquery()
    current = select(_recipe).where(_recipe.c.recipe > after, _recipe.c.version == last, _recipe.c.archived.is_(False))
    return _with_items(tx, current.order_by(_recipe.c.recipe).limit(limit))


def _with_items(tx: Connection, asked: Select[Any]) -> tuple[RecipeView, ...]:
    found = tx.execute(asked).mappings().all()
    items: dict[tuple[str, int], list[IngredientView]] = {(row["recipe"], row["version"]): [] for row in found}
    of_these = select(_item).where(tuple_(_item.c.recipe, _item.c.version).in_(list(items)))
    for row in tx.execute(of_these.order_by(_item.c.recipe, _item.c.version, _item.c.position)).mappings():
        items[row["recipe"], row["version"]].append(IngredientView(**row))
    views = []
    for row in found:
        of_it = tuple(items[row["recipe"], row["version"]])
        views.append(RecipeView(**row, total_mg=sum(one.amount_mg for one in of_it), items=of_it))
    return tuple(views)
