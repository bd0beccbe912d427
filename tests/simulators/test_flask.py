"""The physics of a flask."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.flask import Flask, FlaskSpec, GateMisused, Poured, flowed_mg


def test_what_leaves_is_the_open_time_times_the_flow_to_the_nearest_mg() -> None:
    assert flowed_mg(1000, 2500) == 2500
    assert flowed_mg(1, 499) == 0
    assert flowed_mg(1, 500) == 1
    assert flowed_mg(0, 9000) == 0


def test_an_opening_takes_from_the_contents_and_adds_to_what_left() -> None:
    flask = Flask(FlaskSpec(1, 10_000, 2000))
    assert flask.open(100, 1500)
    assert flask.is_open
    assert flask.close(1600) == Poured(100, 1500, 3000)
    assert (flask.contents_mg, flask.left_mg, flask.is_open) == (7000, 3000, False)


def test_a_gate_closes_on_its_own_time_however_late_it_is_asked() -> None:
    flask = Flask(FlaskSpec(1, 10_000, 2000))
    flask.open(0, 1000)
    assert flask.close(60_000) == Poured(0, 1000, 2000)


def test_a_gate_closed_early_let_out_what_had_flowed_until_then() -> None:
    flask = Flask(FlaskSpec(1, 10_000, 2000))
    flask.open(0, 1000)
    assert flask.close(250) == Poured(0, 250, 500)


def test_a_jammed_gate_does_not_move_and_nothing_leaves() -> None:
    flask = Flask(FlaskSpec(1, 10_000, 2000))
    flask.jammed = True
    assert not flask.open(0, 1000)
    assert flask.close(1000) is None
    assert (flask.contents_mg, flask.left_mg) == (10_000, 0)


def test_no_more_leaves_than_the_flask_holds() -> None:
    flask = Flask(FlaskSpec(1, 700, 2000))
    flask.open(0, 1000)
    assert flask.close(1000) == Poured(0, 1000, 700)
    flask.refill(5000)
    flask.open(2000, 1000)
    assert flask.close(3000) == Poured(2000, 1000, 2000)


def test_opening_an_open_gate_is_refused_with_the_time_it_opened() -> None:
    flask = Flask(FlaskSpec(1, 10_000, 2000))
    flask.open(40, 1000)
    with pytest.raises(GateMisused, match="open since 40 ms"):
        flask.open(50, 1000)


@given(st.lists(st.tuples(st.integers(0, 5000), st.integers(1, 5000)), max_size=20), st.integers(1, 50_000))
def test_what_left_and_what_is_left_always_make_the_first_contents(
    openings: list[tuple[int, int]], flow_mg_per_s: int
) -> None:
    flask = Flask(FlaskSpec(1, 100_000, flow_mg_per_s))
    now_ms = 0
    for for_ms, asked_ms in openings:
        flask.open(now_ms, for_ms)
        now_ms += asked_ms
        flask.close(now_ms)
    assert flask.contents_mg + flask.left_mg == 100_000
    assert flask.contents_mg >= 0
