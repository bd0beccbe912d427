"""A small version of `make soak ARGS="server-kills"`: the same code, one kill of each."""

import pytest

from tests.chaos.server_kills import BACK_WITHIN_S, run

# Real servers on a machine that does other things too.
pytestmark = pytest.mark.timeout(300)


@pytest.mark.parametrize("target", ["postgresql", "mosquitto"])
async def test_a_server_that_is_killed_under_load_takes_nothing_receipted_with_it(target: str) -> None:
    figures = await run(target, seed=1, kills=1, dispensers=6, fsync=False)
    assert figures.kills == 1
    assert figures.slowest_back_s < BACK_WITHIN_S
    assert figures.receipted_lost == 0
    assert (figures.differences, figures.problems) == ([], [])
