"""The product keeps its promises in a thousand worlds that nobody has seen before, and in those that once broke it."""

import random
from pathlib import Path

import pytest

from tests.simulation.plan import draw, dump, load
from tests.simulation.runs import add, run, run_everywhere, shrink

KEPT = sorted((Path(__file__).parent / "kept").glob("*.json"))

FRESH = 1000


def test_a_thousand_fresh_seeds_show_no_divergence() -> None:
    first = random.randrange(2**31)
    total = add(run_everywhere(range(first, first + FRESH)))
    assert total.schedules == FRESH
    assert total.failed == {}, 'look into one with: make simulate ARGS="--seed N"'
    assert len(total.faults) >= 20, total.faults


@pytest.mark.parametrize("file", KEPT, ids=lambda file: file.stem)
def test_a_plan_that_once_broke_the_product(file: Path) -> None:
    assert run(load(file.read_text())).wrong == []


def test_the_same_seed_writes_the_same_trace() -> None:
    first, second = (run(draw(7)) for _ in range(2))
    assert first.trace.dump() == second.trace.dump()
    assert run(draw(8)).trace.dump() != first.trace.dump()


def test_a_plan_outlives_the_way_it_was_drawn() -> None:
    drawn = draw(3)
    assert dump(load(dump(drawn))) == dump(drawn)
    assert run(load(dump(drawn))).trace.dump() == run(drawn).trace.dump()


def test_shrinking_keeps_only_what_the_failure_needs() -> None:
    drawn = draw(11)
    needed = {drawn.actions[0], drawn.actions[-1]}
    least = shrink(drawn, lambda smaller: needed <= set(smaller.actions))
    assert set(least.actions) == needed
