"""Recipes: milligrams per ingredient, for any dispenser that has the ingredients. Orders turn them into flasks."""

from services.recipes.errors import (
    BadRecipe,
    BadScale,
    RecipeChanged,
    RecipeExists,
    RecipeRefused,
    UnknownRecipe,
)
from services.recipes.keeping import MAX_NAME_CHARS, archive, change, create, current, latest_version, page
from services.recipes.naming import same_name
from services.recipes.scaling import MAX_SCALE_MILLI, ONE_MILLI, Ingredient, Scale, by_total, scaled, times

__all__ = [
    "MAX_NAME_CHARS",
    "MAX_SCALE_MILLI",
    "ONE_MILLI",
    "BadRecipe",
    "BadScale",
    "Ingredient",
    "RecipeChanged",
    "RecipeExists",
    "RecipeRefused",
    "Scale",
    "UnknownRecipe",
    "archive",
    "by_total",
    "change",
    "create",
    "current",
    "latest_version",
    "page",
    "same_name",
    "scaled",
    "times",
]
