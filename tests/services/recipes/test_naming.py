"""Spellings of one name meet; different names do not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.recipes import same_name


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Sea salt", "  sea   SALT "),
        ("Crème", "CRE\u0300ME"),
        ("Süßholz", "SÜSSHOLZ"),
        ("\uff33\uff41lt", "salt"),
        ("Sea\u00a0salt", "sea salt"),
    ],
)
def test_case_width_encoding_and_spaces_make_no_difference(one: str, other: str) -> None:
    assert same_name(one) == same_name(other)


@pytest.mark.parametrize(("one", "other"), [("Sea salt", "Seasalt"), ("Crème", "Creme"), ("Salt", "Salt 2")])
def test_other_letters_are_another_name(one: str, other: str) -> None:
    assert same_name(one) != same_name(other)


@given(st.text(max_size=20))
def test_the_shared_form_is_its_own_shared_form(text: str) -> None:
    assert same_name(same_name(text)) == same_name(text)
