"""A fleet is judged by what left its flasks since it was switched on, whatever the ledger held before."""

import pytest

from pitada.demo.summary import since
from simulators.truth import FlaskLedger


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        ([], [FlaskLedger("sim-1", 1, 500)], [FlaskLedger("sim-1", 1, 500)]),
        ([FlaskLedger("sim-1", 1, 200)], [FlaskLedger("sim-1", 1, 500)], [FlaskLedger("sim-1", 1, 300)]),
        ([], [FlaskLedger("another", 1, 500)], []),
        (
            [FlaskLedger("sim-1", 1, 0, (70,))],
            [FlaskLedger("sim-1", 1, 0, (70, 70, 90))],
            [FlaskLedger("sim-1", 1, 0, (70, 90))],
        ),
    ],
)
def test_earlier_amounts_doubts_and_other_dispensers_do_not_count(
    before: list[FlaskLedger], now: list[FlaskLedger], expected: list[FlaskLedger]
) -> None:
    assert since(before, now, {"sim-1"}) == expected
