"""Whole milligrams in any size: nearest by factor, exact in all by weight."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.limits import MAX_COUNT, MAX_TARGET_MG
from services.recipes import BadScale, Ingredient, Scale, by_total, scaled, times

recipes = st.lists(st.integers(1, MAX_TARGET_MG), min_size=1, max_size=16)


def amounts(parts_mg: list[int], scale: Scale) -> list[int]:
    items = [Ingredient(f"spice {number}", amount_mg) for number, amount_mg in enumerate(parts_mg)]
    made = scaled(items, scale)
    assert [item.ingredient for item in made] == [item.ingredient for item in items]
    return [item.amount_mg for item in made]


def test_by_a_factor_halves_round_up() -> None:
    assert amounts([1, 3, 5, 10_000], times(500)) == [1, 2, 3, 5_000]
    assert amounts([10_001], times(333)) == [3_330]
    assert amounts([7], times(1000)) == [7]


def test_by_weight_what_is_missing_goes_to_those_that_lost_most_the_first_of_equals_first() -> None:
    assert amounts([1, 1, 1], by_total(100)) == [34, 33, 33]
    assert amounts([2, 3, 1], by_total(10)) == [3, 5, 2]
    assert amounts([5_000, 2_500], by_total(500_000)) == [333_333, 166_667]


@given(recipes, st.integers(1, 1_000_000))
def test_by_a_factor_no_ingredient_is_off_by_more_than_half_a_milligram(parts_mg: list[int], milli: int) -> None:
    try:
        made = amounts(parts_mg, times(milli))
    except BadScale:
        assert min(parts_mg) * milli < 500
        return
    for part_mg, amount_mg in zip(parts_mg, made, strict=True):
        assert abs(Fraction(part_mg * milli, 1000) - amount_mg) <= Fraction(1, 2)


@given(recipes, st.integers(1, MAX_COUNT))
def test_by_weight_the_sum_is_exact_and_no_ingredient_is_off_by_a_milligram(parts_mg: list[int], total_mg: int) -> None:
    try:
        made = amounts(parts_mg, by_total(total_mg))
    except BadScale:
        assert min(parts_mg) * total_mg < sum(parts_mg)
        return
    assert sum(made) == total_mg
    for part_mg, amount_mg in zip(parts_mg, made, strict=True):
        assert abs(Fraction(part_mg * total_mg, sum(parts_mg)) - amount_mg) < 1


def test_an_ingredient_that_would_be_nothing_is_refused_by_name() -> None:
    for scale in (times(1), by_total(50)):
        with pytest.raises(BadScale, match="spice 1"):
            amounts([100_000, 1], scale)


@pytest.mark.parametrize(
    ("milli", "total_mg"), [(None, None), (1, 1), (0, None), (-1, None), (1_000_001, None), (None, 0), (None, 10**10)]
)
def test_a_size_that_is_none_is_refused(milli: int | None, total_mg: int | None) -> None:
    with pytest.raises(BadScale):
        Scale(milli, total_mg)
