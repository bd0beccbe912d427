"""What people type becomes exact integers, or a sentence that says how to type it."""

import pytest
import typer

from pitada.cli.options import parse_item, parse_span_ms, settings_from
from pitada.cli.output import grams
from services.orders import OrderedItem


@pytest.mark.parametrize(
    ("text", "flask", "target_mg"),
    [("1=5", 1, 5_000), ("2=12.5", 2, 12_500), ("16=0.001g", 16, 1), ("3=0.25g", 3, 250), ("4=1000", 4, 1_000_000)],
)
def test_an_item_is_a_flask_and_exact_grams(text: str, flask: int, target_mg: int) -> None:
    assert parse_item(text) == OrderedItem(flask, target_mg)


@pytest.mark.parametrize("text", ["", "1", "1=", "=5", "a=5", "1=5.0001", "1=-5", "1=5kg", "1 = 5", "1=1e3"])
def test_anything_else_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="FLASK=GRAMS"):
        parse_item(text)


@pytest.mark.parametrize(("text", "span_ms"), [("90s", 90_000), ("10m", 600_000), ("2h", 7_200_000)])
def test_a_time_span_has_a_unit(text: str, span_ms: int) -> None:
    assert parse_span_ms(text) == span_ms


@pytest.mark.parametrize("text", ["", "10", "10 m", "m", "1.5h", "-1s"])
def test_a_span_without_one_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="10m"):
        parse_span_ms(text)


@pytest.mark.parametrize(
    ("amount_mg", "shown"), [(0, "0"), (1, "0.001"), (2_500, "2.5"), (1_000_000, "1,000"), (-5_000, "-5"), (None, "")]
)
def test_grams_are_shown_with_the_decimals_they_need(amount_mg: int | None, shown: str) -> None:
    assert grams(amount_mg) == shown


def test_a_flag_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PITADA_HTTP_PORT", "9001")
    monkeypatch.setenv("PITADA_BROKER_PORT", "9002")
    settings = settings_from(http_port=9003, broker_port=None)
    assert (settings.http_port, settings.broker_port) == (9003, 9002)
