"""Refused orders and stock corrections in HTTP's terms."""

from dashboard.problems import Problem
from services import orders
from services.ledger import stock

# What kind of trouble each refusal is: 404 what is not there, 409 what the present state does not allow; else 422.
_STATUS: dict[type[Exception], tuple[int, str]] = {
    orders.UnknownDispenser: (404, "No such dispenser"),
    orders.UnknownFlask: (422, "No such flask"),
    orders.UnknownJob: (404, "No such job"),
    orders.NotEnoughStock: (409, "Not enough stock"),
    orders.AlreadyEnded: (409, "The job has ended"),
    orders.StillOpen: (409, "The job has not ended"),
    orders.RetryOpen: (409, "Already being retried"),
    orders.NothingToRetry: (409, "Nothing to retry"),
    orders.KeyReused: (409, "The key was used for another order"),
    orders.JobExists: (409, "The job exists already"),
    orders.BadOrder: (422, "The order cannot be carried out"),
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
