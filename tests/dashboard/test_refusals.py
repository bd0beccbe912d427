"""Every refusal has its status."""

from dashboard.refusals import problem_of
from services import orders


def test_every_refusal_is_mapped_on_purpose() -> None:
    from dashboard.refusals import _STATUS

    assert set(_STATUS) == set(orders.OrderRefused.__subclasses__())


def test_the_words_are_the_refusals_own_and_the_code_is_its_name() -> None:
    problem = problem_of(orders.UnknownDispenser("line-9"))
    assert (problem.status, problem.code) == (404, "unknown_dispenser")
    assert "line-9" in problem.detail
