"""A recipe becomes flasks: one where one can serve, several where they must; a refusal names what is missing."""

from typing import Any

import pytest

from services import recipes
from services.devices import FlaskSetup, claim
from services.orders import (
    BadOrder,
    KeyReused,
    NoFlaskFor,
    NotEnoughIngredient,
    OrderedRecipe,
    place,
)
from services.recipes import BadScale, Ingredient, Scale, UnknownRecipe, by_total, times

BREAD = (Ingredient("Flour", 500_000), Ingredient("SALT", 10_000))


def save(kitchen: Any, name: str = "Bread", items: tuple[Ingredient, ...] = BREAD) -> None:
    recipes.create(kitchen.database, name, items, by="ana", now_ms=kitchen.now_ms)


def shelf(kitchen: Any, *stocks: tuple[str, int], device: str = "mix-2") -> None:
    flasks = [FlaskSetup(n, name, 10_000_000, stock_mg, 10_000) for n, (name, stock_mg) in enumerate(stocks, 1)]
    claim(kitchen.database, device, name=device, flasks=flasks, now_ms=kitchen.now_ms, by="ana")


def order(kitchen: Any, name: str = "Bread", scale: Scale | None = None, device: str = "mix-1", **options: Any) -> Any:
    given = {"job_id": next(kitchen.ids), "by": "ana", "now_ms": kitchen.now_ms, **options}
    return place(kitchen.database, device=device, items=OrderedRecipe(name, scale or times(1000)), **given)


def flasks_of(job: Any) -> list[tuple[int, int]]:
    return [(item.flask, item.target_mg) for item in job.items]


def test_an_order_by_recipe_reserves_its_flasks_and_remembers_what_it_was_made_from(kitchen: Any) -> None:
    save(kitchen)
    job = order(kitchen, "bread", times(1500))
    assert [(item.flask, item.ingredient, item.target_mg) for item in job.items] == [
        (1, "flour", 750_000),
        (3, "salt", 15_000),
    ]
    assert (job.recipe, job.recipe_version, job.recipe_scale_milli) == ("Bread", 1, 1500)
    assert [kitchen.flask(number)["reserved_mg"] for number in (1, 2, 3)] == [750_000, 0, 15_000]
    kitchen.audit()
    recipes.change(kitchen.database, "Bread", BREAD[:1], expected_version=1, by="ana", now_ms=kitchen.now_ms)
    recipes.archive(kitchen.database, "Bread", expected_version=2, by="ana", now_ms=kitchen.now_ms)
    assert (kitchen.job(job.job).recipe, kitchen.job(job.job).recipe_version) == ("Bread", 1)


def test_by_total_weight_the_items_add_up_to_it(kitchen: Any) -> None:
    save(kitchen)
    job = order(kitchen, scale=by_total(100_000))
    assert flasks_of(job) == [(1, 98_039), (3, 1_961)]
    assert job.recipe_scale_milli is None


def test_the_lowest_flask_that_can_serve_alone_is_taken(kitchen: Any) -> None:
    shelf(kitchen, ("Salt", 5_000), ("salt", 20_000), ("SALT", 900_000))
    save(kitchen, items=(Ingredient("Salt", 10_000),))
    assert flasks_of(order(kitchen, device="mix-2")) == [(2, 10_000)]
    assert flasks_of(order(kitchen, device="mix-2")) == [(2, 10_000)], "exactly what was left"
    assert flasks_of(order(kitchen, device="mix-2")) == [(3, 10_000)]
    assert flasks_of(order(kitchen, scale=times(500), device="mix-2")) == [(1, 5_000)]


def test_what_no_flask_has_alone_is_split_in_the_order_of_their_numbers(kitchen: Any) -> None:
    shelf(kitchen, ("Salt", 4_000), ("Sugar", 1_000), ("Salt", 0), ("Salt", 7_000), ("Salt", 7_000))
    save(kitchen, items=(Ingredient("Salt", 10_000), Ingredient("Sugar", 1_000)))
    assert flasks_of(order(kitchen, device="mix-2")) == [(1, 4_000), (4, 6_000), (2, 1_000)]


def test_more_of_one_ingredient_than_a_flask_can_be_asked_for_is_refused(kitchen: Any) -> None:
    shelf(kitchen, ("Salt", 9_000_000), ("Salt", 9_000_000))
    save(kitchen, items=(Ingredient("Salt", 5_000_000),))
    with pytest.raises(BadOrder, match=r"wants 10000\.005 g of Salt"):
        order(kitchen, scale=by_total(10_000_005), device="mix-2")
    assert flasks_of(order(kitchen, scale=times(2000), device="mix-2")) == [(1, 9_000_000), (2, 1_000_000)]


def test_an_ingredient_that_no_flask_holds_is_named_and_others_can_still_be_made(kitchen: Any) -> None:
    save(kitchen)
    save(kitchen, "Saffron bread", (*BREAD, Ingredient("Saffron", 10)))
    with pytest.raises(NoFlaskFor, match="No flask of mix-1 holds Saffron"):
        order(kitchen, "Saffron bread")
    assert kitchen.flask(1)["reserved_mg"] == 0
    assert order(kitchen).state == "queued"


def test_too_little_names_the_ingredient_and_its_flasks_and_reserves_nothing(kitchen: Any) -> None:
    shelf(kitchen, ("Flour", 900_000), ("Salt", 4_000), ("Salt", 1_500))
    save(kitchen)
    with pytest.raises(NotEnoughIngredient) as refused:
        order(kitchen, device="mix-2")
    assert str(refused.value) == (
        "The recipe wants 10 g of SALT from mix-2, where flask 2 has 4 g and flask 3 has 1.5 g available. "
        "Refill or count it, make less, or cancel a job that is waiting for it."
    )
    assert kitchen.flask(1, "mix-2")["reserved_mg"] == 0
    save(kitchen, "Dough", BREAD[:1])
    assert order(kitchen, "Dough", device="mix-2").state == "queued", "what needs no salt is made"


def test_a_job_takes_every_flask_of_a_full_dispenser(kitchen: Any) -> None:
    shelf(kitchen, *[("Salt", 10)] * 16)
    save(kitchen, items=(Ingredient("Salt", 160),))
    assert flasks_of(order(kitchen, device="mix-2")) == [(number, 10) for number in range(1, 17)]


def test_an_unknown_recipe_and_an_impossible_size_are_refused(kitchen: Any) -> None:
    with pytest.raises(UnknownRecipe, match="Cake"):
        order(kitchen, "Cake")
    save(kitchen, items=(Ingredient("Flour", 100), Ingredient("Salt", 1)))
    with pytest.raises(BadScale, match="Salt"):
        order(kitchen, scale=times(100))
    with pytest.raises(BadOrder, match="job is"):
        order(kitchen, job_id="not an id")


def test_the_same_key_gets_the_first_job_even_when_the_recipe_was_changed_since(kitchen: Any) -> None:
    save(kitchen)
    first = order(kitchen, idempotency_key="k")
    recipes.change(kitchen.database, "Bread", BREAD[:1], expected_version=1, by="ana", now_ms=kitchen.now_ms)
    assert order(kitchen, "BREAD", idempotency_key="k").job == first.job
    for other in (times(2000), by_total(510_000)):
        with pytest.raises(KeyReused):
            order(kitchen, scale=other, idempotency_key="k")
    with pytest.raises(KeyReused):
        kitchen.place((1, 500_000), (3, 10_000), idempotency_key="k")
