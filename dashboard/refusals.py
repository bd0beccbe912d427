"""Refused orders, recipes and stock corrections in HTTP's terms."""

from dashboard.problems import Problem
from services import orders, recipes
from services.ledger import stock

# What kind of trouble each refusal is: 404 what is not there, 409 what the present state does not allow; else 422.
_STATUS: dict[type[Exception], tuple[int, str]] = {
    orders.UnknownDispenser: (404, "No such dispenser"),
    orders.UnknownFlask: (422, "No such flask"),
    orders.UnknownJob: (404, "No such job"),
    orders.NotEnoughStock: (409, "Not enough stock"),
    orders.NoFlaskFor: (422, "No flask holds it"),
    orders.NotEnoughIngredient: (409, "Not enough stock"),
    orders.IngredientReplaced: (409, "The flask holds something else"),
    orders.AlreadyEnded: (409, "The job has ended"),
    orders.StillOpen: (409, "The job has not ended"),
    orders.RetryOpen: (409, "Already being retried"),
    orders.NothingToRetry: (409, "Nothing to retry"),
    orders.KeyReused: (409, "The key was used for another order"),
    orders.JobExists: (409, "The job exists already"),
    orders.BadOrder: (422, "The order cannot be carried out"),
    recipes.UnknownRecipe: (404, "No such recipe"),
    recipes.RecipeExists: (409, "The recipe exists already"),
    recipes.RecipeChanged: (412, "The recipe was changed meanwhile"),
    recipes.BadRecipe: (422, "The recipe cannot be kept"),
    recipes.BadScale: (422, "The recipe cannot be made in that size"),
    stock.UnknownFlask: (404, "No such flask"),
    stock.BadAmount: (422, "The amount cannot be right"),
    stock.NotInDoubt: (409, "Nothing to resolve"),
}


def problem_of(refusal: Exception) -> Problem:
    """The status, the words and the code of a refusal."""
    for kind in type(refusal).__mro__:
        if kind in _STATUS:
            status, title = _STATUS[kind]
            return Problem(status, title, _sentence(str(refusal)), _code(kind.__name__))
    return Problem(422, "This was refused", _sentence(str(refusal)), _code(type(refusal).__name__))


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")


def _code(name: str) -> str:
    """`NotEnoughStock` as `not_enough_stock`."""
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")
