"""Grams as people type them."""

import pytest

from dashboard.pages.amounts import BadAmount, parse_grams


@pytest.mark.parametrize(
    ("typed", "amount_mg"),
    [
        *[("", None), ("  ", None), ("0", 0), ("12", 12_000), ("12.5", 12_500), ("12,5", 12_500), (" 7 g", 7_000)],
        *[("0.125", 125), ("0,125", 125), ("1500", 1_500_000), ("1.25", 1_250), ("10000", 10_000_000)],
    ],
)
def test_a_point_and_a_comma_are_both_taken(typed: str, amount_mg: int | None) -> None:
    assert parse_grams(typed) == amount_mg


@pytest.mark.parametrize("typed", ["1.500", "1,500", "12.000"])
def test_what_could_be_read_in_two_ways_is_refused_with_both_readings(typed: str) -> None:
    with pytest.raises(BadAmount, match=r"can mean \d+ g or [\d.]+ g") as refused:
        parse_grams(typed)
    assert "1500 g or 1.5 g" in str(refused.value) or typed == "12.000"


@pytest.mark.parametrize("typed", ["abc", "-3", "1e3", "1.2.3", "1,000.5", "10001", "٣", "0x10", "NaN"])
def test_what_is_no_amount_is_refused(typed: str) -> None:
    with pytest.raises(BadAmount):
        parse_grams(typed)
