"""Recipes in versions: each stays, the latest counts, and of two changes at once one is refused."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from services.ledger import recipes as rows
from services.ledger.database import Database
from services.ledger.views import RecipeView
from services.recipes import (
    BadRecipe,
    Ingredient,
    RecipeChanged,
    RecipeExists,
    UnknownRecipe,
    archive,
    change,
    create,
    current,
    latest_version,
    page,
)

CURRY = (Ingredient("Cumin", 3_000), Ingredient("Sea salt", 1_500))
MILD = (Ingredient("Sea salt", 1_000),)


def make(database: Database, name: str = "Curry", items: tuple[Ingredient, ...] = CURRY) -> RecipeView:
    return create(database, name, items, by="ana", now_ms=1)


def names(database: Database, after: str = "", limit: int = 50) -> list[str]:
    with database.read() as tx:
        return [recipe.name for recipe in page(tx, after, limit)]


def test_a_recipe_is_kept_with_its_ingredients_in_order(database: Database) -> None:
    made = make(database)
    assert (made.name, made.version, made.by, made.total_mg) == ("Curry", 1, "ana", 4_500)
    assert [(item.ingredient, item.amount_mg) for item in made.items] == [("Cumin", 3_000), ("Sea salt", 1_500)]
    with database.read() as tx:
        assert current(tx, " CURRY ") == made


def test_a_change_is_the_next_version_and_the_one_before_stays(database: Database) -> None:
    first = make(database)
    second = change(database, "curry", MILD, expected_version=1, by="bia", now_ms=2)
    assert (second.name, second.version, second.by, second.total_mg) == ("Curry", 2, "bia", 1_000)
    with database.read() as tx:
        assert rows.version(tx, "curry", 1) == first
        assert current(tx, "Curry") == second
        assert latest_version(tx, "Curry") == 2


def test_a_change_to_a_version_that_is_not_the_latest_is_refused(database: Database) -> None:
    make(database)
    for expected in (0, 2):
        with pytest.raises(RecipeChanged, match="at version 1"):
            change(database, "Curry", MILD, expected_version=expected, by="bia", now_ms=2)
        with pytest.raises(RecipeChanged):
            archive(database, "Curry", expected_version=expected, by="bia", now_ms=2)


def test_of_many_changes_at_once_one_is_made_and_the_others_are_told(database: Database) -> None:
    make(database)
    start = threading.Barrier(8)

    def alter(number: int) -> bool:
        start.wait(timeout=30)
        try:
            change(database, "Curry", (Ingredient("Salt", number),), expected_version=1, by="ana", now_ms=2)
        except RecipeChanged:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(alter, range(1, 9))) == 1
    with database.read() as tx:
        assert latest_version(tx, "Curry") == 2


def test_an_archived_recipe_is_gone_until_its_name_is_saved_again(database: Database) -> None:
    make(database)
    archive(database, "Curry", expected_version=1, by="ana", now_ms=2)
    with database.read() as tx:
        assert latest_version(tx, "Curry") is None
        with pytest.raises(UnknownRecipe):
            current(tx, "Curry")
    for version in (1, 2):
        with pytest.raises(UnknownRecipe):
            change(database, "Curry", MILD, expected_version=version, by="ana", now_ms=3)
    assert names(database) == []
    assert make(database, items=MILD).version == 3


def test_another_spelling_of_a_name_is_the_same_recipe(database: Database) -> None:
    make(database)
    with pytest.raises(RecipeExists, match="version 1"):
        make(database, "  cURRY")


def test_recipes_are_listed_by_name_a_page_at_a_time(database: Database) -> None:
    for name in ("Zaatar", "Baharat", "curry", "Dukkah"):
        make(database, name)
    change(database, "Baharat", MILD, expected_version=1, by="ana", now_ms=2)
    archive(database, "Dukkah", expected_version=1, by="ana", now_ms=2)
    assert names(database) == ["Baharat", "curry", "Zaatar"]
    assert names(database, limit=2) == ["Baharat", "curry"]
    assert names(database, after="CURRY") == ["Zaatar"]


@pytest.mark.parametrize(
    ("name", "items", "words"),
    [
        ("", CURRY, "name"),
        ("  ", CURRY, "spaces only"),
        ("x" * 81, CURRY, "name"),
        ("a\0b", CURRY, "name"),
        ("Curry", (), "0 ingredients"),
        ("Curry", tuple(Ingredient(f"spice {number}", 1) for number in range(17)), "17 ingredients"),
        ("Curry", (Ingredient("", 1),), "ingredient"),
        ("Curry", (Ingredient(" ", 1),), "spaces only"),
        ("Curry", (Ingredient("Salt", 0),), "amount_mg"),
        ("Curry", (Ingredient("Salt", 10_000_001),), "amount_mg"),
        ("Curry", (Ingredient("Salt", 1), Ingredient("sALT", 2)), "twice"),
    ],
)
def test_what_cannot_be_a_recipe_is_refused(
    database: Database, name: str, items: tuple[Ingredient, ...], words: str
) -> None:
    with pytest.raises(BadRecipe, match=words):
        make(database, name, items)
    assert names(database) == []
