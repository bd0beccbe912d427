"""Recipes. A recipe's `ETag` is its version; a change or a deletion names in `If-Match` the version that was read."""

import re
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Header, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from dashboard.api.reads import MAX_LIMIT
from dashboard.deps import Deps, User
from protocol.limits import MAX_ITEMS, MAX_TARGET_MG
from services import recipes
from services.ledger.views import RecipeView
from services.recipes import MAX_NAME_CHARS, Ingredient

router = APIRouter(prefix="/api/v1/recipes")

Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME_CHARS)]
IfMatch = Annotated[str | None, Header(max_length=64)]

_VERSION = re.compile(r'"([0-9]{1,9})"')


class VersionNeeded(Exception):
    """A change must name the version that it was made to: send If-Match with the ETag of the recipe as it was read."""


class WantedIngredient(BaseModel):
    """One ingredient of a recipe."""

    model_config = ConfigDict(extra="forbid")
    ingredient: Name
    amount_mg: Annotated[int, Field(ge=1, le=MAX_TARGET_MG, strict=True)]


class WantedContent(BaseModel):
    """What is in a recipe."""

    model_config = ConfigDict(extra="forbid")
    items: Annotated[list[WantedIngredient], Field(min_length=1, max_length=MAX_ITEMS)]

    def ingredients(self) -> list[Ingredient]:
        """As the recipes take it."""
        return [Ingredient(item.ingredient, item.amount_mg) for item in self.items]


class WantedRecipe(WantedContent):
    """A new recipe."""

    name: Name


@router.get("")
def page(
    deps: Deps, user: User, after: str = "", limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = 50
) -> tuple[RecipeView, ...]:
    """The recipes by name; `after` takes the last name that one has."""
    with deps.database.read() as tx:
        return recipes.page(tx, after, limit)


@router.get("/{name:path}")
def show(deps: Deps, user: User, name: str, response: Response) -> RecipeView:
    """One recipe."""
    with deps.database.read() as tx:
        return _tagged(response, recipes.current(tx, name))


@router.post("", status_code=201)
def create(deps: Deps, user: User, wanted: WantedRecipe, response: Response) -> RecipeView:
    """Keep a new recipe."""
    made = recipes.create(deps.database, wanted.name, wanted.ingredients(), by=user, now_ms=deps.now_ms())
    response.headers["Location"] = f"/api/v1/recipes/{quote(made.name, safe='')}"
    return _tagged(response, made)


@router.put("/{name:path}")
def change(
    deps: Deps, user: User, name: str, wanted: WantedContent, response: Response, if_match: IfMatch = None
) -> RecipeView:
    """Give the recipe its next version. 412 when somebody else did since it was read."""
    made = recipes.change(
        deps.database,
        name,
        wanted.ingredients(),
        expected_version=_version(if_match),
        by=user,
        now_ms=deps.now_ms(),
    )
    return _tagged(response, made)


@router.delete("/{name:path}", status_code=204)
def delete(deps: Deps, user: User, name: str, if_match: IfMatch = None) -> None:
    """Take the recipe out of use; jobs made from it go on naming it."""
    recipes.archive(deps.database, name, expected_version=_version(if_match), by=user, now_ms=deps.now_ms())


def _tagged(response: Response, recipe: RecipeView) -> RecipeView:
    response.headers["ETag"] = f'"{recipe.version}"'
    return recipe


def _version(if_match: str | None) -> int:
    """The version that the header names; 0, which no recipe has, for a tag that is none of ours."""
    if if_match is None:
        raise VersionNeeded
    match = _VERSION.fullmatch(if_match.strip())
    return int(match[1]) if match else 0
