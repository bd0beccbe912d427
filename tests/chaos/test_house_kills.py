"""A small version of `make soak ARGS="house-kills"`: the same code, fewer kills."""

import pytest

from tests.chaos.house_kills import run

# Real servers on a machine that does other things too.
pytestmark = pytest.mark.timeout(300)


async def test_kill_9_of_the_house_among_power_cuts_and_drops_never_dispenses_twice_and_loses_nothing() -> None:
    figures = await run(seed=1, kills=2, dispensers=2)
    assert figures.problems == ()
    assert (figures.divergences, figures.double_dispenses) == (0, 0)
