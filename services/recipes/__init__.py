"""Recipes: milligrams per ingredient, for any dispenser that has the ingredients. Orders turn them into flasks."""

from services.recipes.errors import (
    BadRecipe,
    BadScale,
    RecipeChanged,
    RecipeExists,
    RecipeRefused,
    UnknownRecipe,
)
from services.recipes.keeping import archive, change, create, current, page
from services.recipes.naming import same_name
from services.recipes.scaling import Ingredient, Scale, by_total, scaled, times

__all__ = [
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
    "page",
    "same_name",
    "scaled",
    "times",
]
