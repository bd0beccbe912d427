"""Create, change, archive and read recipes. Each version stays, so a job's recipe can always be read as it was made."""

from collections.abc import Sequence

from protocol.fields import BadValue, Int, Text
from protocol.limits import MAX_ITEMS, MAX_TARGET_MG
from services.ledger import recipes as rows
from services.ledger.database import Database, Transaction
from services.ledger.views import RecipeView
from services.recipes.errors import BadRecipe, RecipeChanged, RecipeExists, UnknownRecipe
from services.recipes.naming import same_name
from services.recipes.scaling import Ingredient

# Recipes of a page when the caller does not say.
PAGE = 200

# As long as a flask's ingredient may be.
MAX_NAME_CHARS = 80

_NAME = Text("name", 1, MAX_NAME_CHARS, "", "what people call it")
_INGREDIENT = Text("ingredient", 1, MAX_NAME_CHARS, "", "what it needs, as the flasks name it")
_AMOUNT = Int("amount_mg", 1, MAX_TARGET_MG, "how much of it", "mg")


def create(db: Database, name: str, items: Sequence[Ingredient], *, by: str, now_ms: int) -> RecipeView:
    """Keep a new recipe of 1 to 16 ingredients. Raises `BadRecipe`; `RecipeExists` unless the old one was archived."""
    _check(name, items)
    recipe = same_name(name)
    with db.write() as tx:
        version, archived = rows.latest(tx, recipe)
        if not archived:
            raise RecipeExists(name, version)
        if not _add(tx, recipe, version + 1, name, items, by=by, now_ms=now_ms):
            raise RecipeExists(name, version + 1)
        return current(tx, name)


def change(
    db: Database, name: str, items: Sequence[Ingredient], *, expected_version: int, by: str, now_ms: int
) -> RecipeView:
    """Give the recipe its next version. The name stays as it was first written, whatever spelling is used here.

    Raises `BadRecipe`, `UnknownRecipe`; `RecipeChanged` when the version is not the expected one any more.
    """
    _check(name, items)
    recipe = same_name(name)
    with db.write() as tx:
        first = _expect(tx, name, expected_version)
        if not _add(tx, recipe, expected_version + 1, first, items, by=by, now_ms=now_ms):
            raise RecipeChanged(name, expected_version, rows.latest(tx, recipe)[0])
        return current(tx, name)


def archive(db: Database, name: str, *, expected_version: int, by: str, now_ms: int) -> None:
    """Take the recipe out of use; jobs made from it keep naming it. Raises `UnknownRecipe`, `RecipeChanged`."""
    recipe = same_name(name)
    with db.write() as tx:
        first = _expect(tx, name, expected_version)
        if not rows.add_version(tx, recipe, expected_version + 1, first, (), archived=True, by=by, now_ms=now_ms):
            raise RecipeChanged(name, expected_version, rows.latest(tx, recipe)[0])


def current(tx: Transaction, name: str) -> RecipeView:
    """The recipe as it is. Raises `UnknownRecipe`."""
    recipe = same_name(name)
    version, archived = rows.latest(tx, recipe)
    found = None if archived else rows.version(tx, recipe, version)
    if found is None:
        raise UnknownRecipe(name)
    return found


def latest_version(tx: Transaction, name: str) -> int | None:
    """The version to expect when the recipe is changed; None: there is none to change, so create it."""
    version, archived = rows.latest(tx, same_name(name))
    return None if archived else version


def page(tx: Transaction, after: str = "", limit: int = PAGE) -> tuple[RecipeView, ...]:
    """The recipes as they are, by name, from the one after the name `after`."""
    return rows.page(tx, same_name(after), limit)


def _add(
    tx: Transaction, recipe: str, version: int, name: str, items: Sequence[Ingredient], *, by: str, now_ms: int
) -> bool:
    written = [(item.ingredient, item.amount_mg) for item in items]
    return rows.add_version(tx, recipe, version, name, written, by=by, now_ms=now_ms)


def _expect(tx: Transaction, name: str, expected_version: int) -> str:
    """The recipe's name as it was written, if that version is the one that is in use."""
    found = current(tx, name)
    if found.version != expected_version:
        raise RecipeChanged(found.name, expected_version, found.version)
    return found.name


def _check(name: str, items: Sequence[Ingredient]) -> None:
    if not 1 <= len(items) <= MAX_ITEMS:
        raise BadRecipe(f"The recipe has {len(items)} ingredients, a job takes 1 to {MAX_ITEMS}. Add one, or split it.")
    try:
        _NAME.check(name)
        for item in items:
            _INGREDIENT.check(item.ingredient)
            _AMOUNT.check(item.amount_mg)
    except BadValue as error:
        raise BadRecipe(f"The recipe cannot be kept: {error}. Correct it, then save again.") from error
    seen: set[str] = set()
    for text in (name, *[item.ingredient for item in items]):
        if not same_name(text):
            raise BadRecipe("A name of spaces only cannot be found again. Write a name.")
    for item in items:
        if same_name(item.ingredient) in seen:
            raise BadRecipe(f"The recipe names {item.ingredient} twice. Write the sum once.")
        seen.add(same_name(item.ingredient))
