"""Every refusal has its status."""

from dashboard.refusals import _STATUS, problem_of
from services import orders, recipes
from services.ledger import stock


def test_every_refusal_is_mapped_on_purpose() -> None:
    bases = (orders.OrderRefused, recipes.RecipeRefused, stock.StockRefused)
    refusals = [refusal for base in bases for refusal in base.__subclasses__()]
    assert set(_STATUS) == set(refusals)  # the table itself, so that a new refusal cannot be forgotten


def test_the_words_are_the_refusals_own_and_the_code_is_its_name() -> None:
    problem = problem_of(orders.UnknownDispenser("line-9"))
    assert (problem.status, problem.code) == (404, "unknown_dispenser")
    assert "line-9" in problem.detail
