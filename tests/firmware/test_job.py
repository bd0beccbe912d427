"""The transition table, walked; and the sums."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.core.job import BadMove, Item, Job, amount_mg, open_time_ms
from protocol.limits import MAX_TARGET_MG
from protocol.states import DEVICE, ITEM_ENDS, ITEM_STATES, ITEM_TRANSITIONS

DEVICE_MOVES = [(start, end) for start, end, says, _when in ITEM_TRANSITIONS if says == DEVICE]


@pytest.mark.parametrize(("start", "end"), list(itertools.product(ITEM_STATES, ITEM_STATES)))
def test_an_item_moves_exactly_as_the_table_says(start: str, end: str) -> None:
    item = Item(1, 500, state=start)
    if (start, end) in DEVICE_MOVES:
        item.move(end, 0, 0, None)
        assert item.state == end
        assert item.fresh
    else:
        with pytest.raises(BadMove):
            item.move(end)
        assert item.state == start


def test_every_state_can_be_reached_and_every_end_is_final() -> None:
    reached = {"pending"}
    for _ in DEVICE_MOVES:
        reached |= {end for start, end in DEVICE_MOVES if start in reached}
    assert reached == set(ITEM_STATES)
    assert not [start for start, _end in DEVICE_MOVES if start in ITEM_ENDS]


def test_a_job_is_over_when_every_item_has_ended() -> None:
    items = [Item(1, 500), Item(2, 500)]
    job = Job("j", 1, items)
    assert job.next_pending() == 0
    items[0].move("skipped", 0, 0, "cancelled")
    assert job.next_pending() == 1
    assert not job.is_over()
    items[1].move("dispensing")
    assert job.next_pending() is None
    assert not job.is_over()
    items[1].move("done", 500, 500)
    assert job.is_over()


@pytest.mark.parametrize(
    ("target_mg", "flow", "expected_ms"),
    [(500, 1000, 500), (1, 1_000_000, 1), (1, 3, 333), (2, 3, 667), (1000, 7, 142857)],
)
def test_an_opening_takes_the_nearest_millisecond_and_at_least_one(target_mg: int, flow: int, expected_ms: int) -> None:
    assert open_time_ms(target_mg, flow) == expected_ms


@given(st.integers(1, MAX_TARGET_MG), st.integers(1, 1_000_000))
def test_what_a_planned_opening_gives_is_within_half_a_millisecond_of_the_target(target_mg: int, flow: int) -> None:
    given_mg = amount_mg(open_time_ms(target_mg, flow), flow)
    assert abs(given_mg - target_mg) <= max(flow // 1000, 1)


def test_amounts_are_rounded_to_the_nearest_milligram() -> None:
    assert amount_mg(1, 499) == 0
    assert amount_mg(1, 500) == 1
    assert amount_mg(1500, 333) == 500
