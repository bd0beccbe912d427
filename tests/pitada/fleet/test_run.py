"""A run of a fleet ends when it is stopped, and with whatever broke."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from pitada.fleet.figures import Figures
from pitada.fleet.run import FleetRun
from services.ledger.database import Database
from simulators.fleet import Fleet
from tests.pitada.fleet.conftest import specs


class ScreenBroken(Exception):
    """No terminal takes it."""


@pytest.fixture
def run(tmp_path: Path) -> Iterator[FleetRun]:
    """A fleet that nobody switched on: none of its dispensers ever signs in."""
    database = Database(f"sqlite:///{tmp_path / 'ledger.db'}")
    database.migrate()
    yield FleetRun(Fleet(specs(2), "127.0.0.1", 1), None, database, (), 1.0)
    database.close()


async def test_a_screen_that_breaks_ends_the_run(run: FleetRun) -> None:
    def show(_figures: Figures) -> None:
        raise ScreenBroken

    with pytest.raises(ScreenBroken):
        await run.until(asyncio.Event(), show, exit_when_done=False)


async def test_one_that_is_stopped_before_all_have_signed_in_gives_its_figures(run: FleetRun) -> None:
    stop = asyncio.Event()
    result = await run.until(stop, lambda _figures: stop.set(), exit_when_done=True)
    assert (result["dispensers"], result["connected"], result["divergences"]) == (2, 0, 0)
