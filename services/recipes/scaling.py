"""A recipe in another size, in whole milligrams.

By a factor, each amount is rounded to the nearest milligram, halves up: every ingredient is as right as it can be. To a
total weight, each amount is rounded down, and the milligrams still missing go one each to those that lost most, the
first of equals first: the amounts add up to the total exactly. An ingredient that would round to nothing is refused.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from protocol.limits import MAX_COUNT
from services.recipes.errors import BadScale

# One times, in the thousandths that a scale is counted in: 2.5 portions are exact, a third is asked for by weight.
ONE_MILLI = 1000

# A thousandfold of a recipe is a typing error.
MAX_SCALE_MILLI = 1000 * ONE_MILLI


@dataclass(frozen=True, slots=True)
class Ingredient:
    """So much of one ingredient."""

    ingredient: str
    amount_mg: int


@dataclass(frozen=True, slots=True)
class Scale:
    """The size to make: a factor in thousandths, or a total weight. Exactly one of them is given."""

    milli: int | None = None
    total_mg: int | None = None

    def __post_init__(self) -> None:
        if (self.milli is None) == (self.total_mg is None):
            raise BadScale("Give either a scale or a total weight.")
        if self.milli is not None and not 1 <= self.milli <= MAX_SCALE_MILLI:
            raise BadScale(f"A scale of {self.milli / ONE_MILLI:g}: give one from 0.001 to 1000.")
        if self.total_mg is not None and not 1 <= self.total_mg <= MAX_COUNT:
            raise BadScale(f"A total of {self.total_mg} mg: give one from 1 to {MAX_COUNT} mg.")


def times(milli: int) -> Scale:
    """The recipe `milli` thousandths of a time."""
    return Scale(milli=milli)


def by_total(total_mg: int) -> Scale:
    """So much of the recipe that it weighs `total_mg` in all."""
    return Scale(total_mg=total_mg)


def scaled(items: Sequence[Ingredient], scale: Scale) -> tuple[Ingredient, ...]:
    """The ingredients in that size, in their order. Raises `BadScale` when one would round to nothing."""
    if scale.milli is not None:
        amounts = [(2 * item.amount_mg * scale.milli + ONE_MILLI) // (2 * ONE_MILLI) for item in items]
    else:
        amounts = _shared(scale.total_mg or 0, [item.amount_mg for item in items])
    for item, amount_mg in zip(items, amounts, strict=True):
        if amount_mg == 0:
            raise BadScale(f"There would be less than a milligram of {item.ingredient}. Make more of it.")
    return tuple(Ingredient(item.ingredient, amount_mg) for item, amount_mg in zip(items, amounts, strict=True))


def _shared(total_mg: int, parts_mg: Sequence[int]) -> list[int]:
    whole_mg = sum(parts_mg)
    amounts = [part_mg * total_mg // whole_mg for part_mg in parts_mg]
    lost = [part_mg * total_mg % whole_mg for part_mg in parts_mg]
    # `sorted` is stable, so the first of equals comes first.
    for position in sorted(range(len(parts_mg)), key=lambda one: -lost[one])[: total_mg - sum(amounts)]:
        amounts[position] += 1
    return amounts
