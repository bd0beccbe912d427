"""Tables of the recipes. Append-only: a change is a further version, and a job names the one it was made from."""

from sqlalchemy import ForeignKeyConstraint
from sqlmodel import Field

from services.ledger.row import Row, ms


class Recipe(Row, table=True):
    """One version of a recipe. The highest is the recipe as it is; `archived` there: it is no longer offered.

    `recipe` is the name in the form that two spellings share (`services.recipes.naming`), `name` as it was written.
    """

    __tablename__ = "recipe"
    recipe: str = Field(primary_key=True)
    version: int = Field(primary_key=True)
    name: str
    archived: bool = False
    at_ms: int = ms()
    by: str


class RecipeItem(Row, table=True):
    """One ingredient of a version: so many milligrams in the recipe's own size. An archived version has none."""

    __tablename__ = "recipe_item"
    __table_args__ = (ForeignKeyConstraint(["recipe", "version"], ["recipe.recipe", "recipe.version"]),)
    recipe: str = Field(primary_key=True)
    version: int = Field(primary_key=True)
    position: int = Field(primary_key=True)
    ingredient: str
    amount_mg: int
