"""Why a recipe was refused. The text is for the person who asked: what happened, to what, and what to do."""


class RecipeRefused(Exception):
    """Nothing was changed."""


class BadRecipe(RecipeRefused):
    """The recipe itself cannot be kept."""


class BadScale(RecipeRefused):
    """The recipe cannot be made in that size."""


class UnknownRecipe(RecipeRefused):
    """There is no recipe of this name, or it was deleted."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"There is no recipe {name!r}. Check the name in the list of recipes, or save it first.")


class RecipeExists(RecipeRefused):
    """A recipe of this name is there already."""

    def __init__(self, name: str, version: int) -> None:
        self.name = name
        self.version = version
        super().__init__(f"There is already a recipe {name!r} (version {version}). Change that one, or use a new name.")


class RecipeChanged(RecipeRefused):
    """Somebody else changed the recipe since it was read."""

    def __init__(self, name: str, expected: int, version: int) -> None:
        self.name = name
        self.expected = expected
        self.version = version
        super().__init__(
            f"Recipe {name!r} is at version {version} by now, the change was made to version {expected}. "
            "Read it again, then make the change again."
        )
