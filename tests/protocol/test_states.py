"""The transition tables and the ranks say the same, and ends follow from items."""

from itertools import pairwise, permutations, product

import pytest

from protocol import states
from protocol.states import DEVICE, SERVER, item_rank, job_outcome, job_rank

# The one end that is left: the server had skipped the item, and then cannot know whether the dispenser did.
DOUBTED = ("skipped", "in_doubt", SERVER)


def test_every_transition_raises_the_rank() -> None:
    for source, target, says, _ in states.ITEM_TRANSITIONS:
        if (source, target, says) == DOUBTED:
            assert item_rank(source, SERVER) == item_rank(target, SERVER)
        else:
            assert item_rank(source) < item_rank(target, says)
    for source, target, says, _ in states.JOB_TRANSITIONS:
        assert job_rank(source) < job_rank(target, says)


def test_the_tables_know_every_state_and_no_other() -> None:
    for table, known in ((states.ITEM_TRANSITIONS, states.ITEM_STATES), (states.JOB_TRANSITIONS, states.JOB_STATES)):
        assert {state for row in table for state in row[:2]} == set(known)


def test_an_end_is_left_by_no_transition() -> None:
    assert not {row[0] for row in states.ITEM_TRANSITIONS if row[:3] != DOUBTED} & set(states.ITEM_ENDS)
    assert not {row[0] for row in states.JOB_TRANSITIONS} & set(states.JOB_ENDS)


def test_the_dispensers_word_on_an_end_ranks_above_the_servers() -> None:
    for item_end, job_end in product(states.ITEM_ENDS, states.JOB_ENDS):
        assert item_rank(item_end, SERVER) < item_rank(item_end, DEVICE)
        assert job_rank(job_end, SERVER) < job_rank(job_end, DEVICE)


def test_reports_in_any_order_end_alike() -> None:
    reports = [("dispensing", DEVICE), ("in_doubt", SERVER), ("done", DEVICE)]
    for order in permutations(reports):
        state, rank = "pending", 0
        for said, says in order:
            if item_rank(said, says) > rank:
                state, rank = said, item_rank(said, says)
        assert state == "done"


@pytest.mark.parametrize(
    ("items", "outcome"),
    [
        (["done", "done"], "done"),
        (["done", "failed"], "done_partial"),
        (["done", "skipped"], "done_partial"),
        (["done", "in_doubt"], "done_partial"),
        (["failed", "failed"], "failed"),
        (["in_doubt"], "failed"),
        (["failed", "skipped"], "cancelled"),
        (["skipped"], "cancelled"),
        ([], "cancelled"),
    ],
)
def test_the_end_of_a_job_follows_from_its_items(items: list[str], outcome: str) -> None:
    assert job_outcome(items) == outcome
    assert outcome in states.COMPLETION_STATES


def test_ranks_are_dense() -> None:
    ranks = sorted({job_rank(state, says) for state in states.JOB_STATES for says in (SERVER, DEVICE)})
    assert all(after - before == 1 for before, after in pairwise(ranks))
