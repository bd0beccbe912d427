"""Numbers, times and templates."""

import re
from pathlib import Path

import pytest

from dashboard.rendering import (
    MINUS,
    TEMPLATES,
    TINTS,
    ago,
    environment,
    grams,
    iso,
    plain_grams,
    seconds,
    short_grams,
    signed_grams,
)
from dashboard.rendering import tint as tint_of


@pytest.mark.parametrize(
    ("amount_mg", "shown"),
    [(0, "0 g"), (1, "0.001 g"), (12_500, "12.5 g"), (1_234_567_000, "1,234,567 g"), (-3_200, f"{MINUS}3.2 g")],
)
def test_grams_are_exact_without_trailing_zeros(amount_mg: int, shown: str) -> None:
    assert grams(amount_mg) == shown


@pytest.mark.parametrize(
    ("amount_mg", "shown"),
    [
        (0, "0 g"),
        (12_345, "12.35 g"),
        (99_996, "100 g"),
        (123_456, "123.5 g"),
        (4_993_272, "4,993 g"),
        (-123_456, f"{MINUS}123.5 g"),
    ],
)
def test_short_grams_have_about_four_digits(amount_mg: int, shown: str) -> None:
    assert short_grams(amount_mg) == shown


def test_an_unknown_amount_is_a_dash_not_a_zero() -> None:
    assert "0" not in grams(None)
    assert "0" not in seconds(None)


def test_a_movement_shows_its_direction() -> None:
    assert signed_grams(5_000) == "+5 g"
    assert signed_grams(-5_000) == f"{MINUS}5 g"


def test_a_form_takes_back_what_it_was_given() -> None:
    assert plain_grams(1_234_500) == "1234.5"
    assert plain_grams(-500) == "-0.5"


@pytest.mark.parametrize(
    ("age_ms", "shown"), [(0, "0 s ago"), (59_999, "59 s ago"), (60_000, "1 min ago"), (90_000_000, "1 d ago")]
)
def test_an_age_is_in_the_largest_unit_that_fits(age_ms: int, shown: str) -> None:
    assert ago(1_000, 1_000 + age_ms) == shown
    assert ago(None, 1_000) == "never"


def test_moments_are_utc() -> None:
    assert iso(1_760_000_000_000) == "2025-10-09T08:53:20.000+00:00"


def test_an_ingredient_always_has_the_same_tint() -> None:
    assert tint_of("Sea salt") == tint_of("Sea salt")
    assert all(0 <= tint_of(str(n)) < TINTS for n in range(100))


def test_templates_escape_everything() -> None:
    template = environment().from_string("{{ name }}")
    assert template.render(name="<script>") == "&lt;script&gt;"


@pytest.mark.parametrize("template", sorted(TEMPLATES.glob("*.html")), ids=lambda path: path.name)
def test_no_template_needs_what_the_content_security_policy_forbids(template: Path) -> None:
    text = template.read_text()
    assert not re.search(r"\sstyle=|\son[a-z]+=|javascript:|<style|https?://", text)
    assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", text))
    assert "safe" not in re.findall(r"\|\s*(\w+)", text)
