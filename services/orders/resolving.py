"""From a recipe to the flasks of one dispenser.

An ingredient is served by one flask where one has enough of it, the lowest number first; else by several, each giving
what it has, in the order of their numbers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from protocol.limits import MAX_TARGET_MG
from services import recipes
from services.ledger.database import Transaction
from services.ledger.jobs import FlaskRow, MadeFrom, NewItem
from services.orders.errors import BadOrder, NoFlaskFor, NotEnoughIngredient, grams
from services.recipes import Ingredient, Scale


@dataclass(frozen=True)
class OrderedRecipe:
    """So much of that recipe, as it is when the order is placed."""

    name: str
    scale: Scale


def resolve(
    tx: Transaction, device: str, known: Mapping[int, FlaskRow], ordered: OrderedRecipe
) -> tuple[list[NewItem], MadeFrom]:
    """The items of the recipe on this dispenser, whose row is locked; nothing is reserved yet.

    Raises `recipes.UnknownRecipe`, `recipes.BadScale`, `NoFlaskFor`, `NotEnoughIngredient`, `BadOrder`.
    """
    recipe = recipes.current(tx, ordered.name)
    written = [Ingredient(one.ingredient, one.amount_mg) for one in recipe.items]
    items = [item for wanted in recipes.scaled(written, ordered.scale) for item in _flasks_for(device, known, wanted)]
    return items, MadeFrom(recipe.name, recipe.version, ordered.scale.milli)


def _flasks_for(device: str, known: Mapping[int, FlaskRow], wanted: Ingredient) -> Sequence[NewItem]:
    name = recipes.same_name(wanted.ingredient)
    holding = [known[number] for number in sorted(known) if recipes.same_name(known[number].ingredient) == name]
    if wanted.amount_mg > MAX_TARGET_MG:
        raise BadOrder(
            f"That much of the recipe wants {grams(wanted.amount_mg)} of {wanted.ingredient}, a job takes at most "
            f"{grams(MAX_TARGET_MG)} of one ingredient. Make less, or split it."
        )
    if not holding:
        raise NoFlaskFor(device, wanted.ingredient)
    for flask in holding:
        if wanted.amount_mg <= flask.available_mg:
            return [NewItem(flask.flask, wanted.amount_mg, flask.ingredient)]
    items = []
    left_mg = wanted.amount_mg
    for flask in holding:
        part_mg = min(flask.available_mg, left_mg)
        if part_mg > 0:
            items.append(NewItem(flask.flask, part_mg, flask.ingredient))
            left_mg -= part_mg
    if left_mg:
        available = tuple((flask.flask, flask.available_mg) for flask in holding)
        raise NotEnoughIngredient(device, wanted.ingredient, available, wanted.amount_mg)
    return items
