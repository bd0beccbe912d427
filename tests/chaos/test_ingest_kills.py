"""A small version of `make soak ARGS="ingest-kills"`: the same code, fewer messages and kills."""

import pytest

from tests.chaos.ingest_kills import run

# Real servers on a machine that does other things too.
pytestmark = pytest.mark.timeout(300)


async def test_kill_9_of_ingest_in_the_middle_of_a_drain_ends_in_the_oracles_tables() -> None:
    figures = await run("postgresql", seed=1, messages=5_000, kills=3, dispensers=10, fsync=False)
    assert figures.kills == 3
    assert (figures.differences, figures.problems) == ([], [])
    assert (figures.lost, figures.duplicated) == (0, 0)
