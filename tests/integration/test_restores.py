"""A ledger restored from an old backup, at any moment of a run, becomes true again by what dispensers still hold."""

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from protocol.limits import KEPT_COMPLETIONS
from services.ledger import tables
from tests.integration.restoring import Restoring

# As many runs as `make test` has time for; PITADA_RESTORE_RUNS=40 makes it 200 restores.
RUNS = int(os.environ.get("PITADA_RESTORE_RUNS", "2"))
RESTORES = 5


@pytest.fixture
def house(tmp_path: Path, seed: int) -> Iterator[Restoring]:
    running = Restoring(tmp_path, seed)
    yield running
    running.close()


# Four seconds of work, which a machine that is busy with other things may stretch: time is virtual, nothing hangs.
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", range(RUNS))
def test_every_restore_at_a_random_moment_converges(house: Restoring, seed: int) -> None:
    draw = random.Random(seed)
    for number in range(RESTORES):
        for _ in range(draw.randint(0, 4)):
            house.order()
        live(house, draw, draw.randint(0, 20))
        # Often the backup shows jobs as queued, and nothing in progress that would keep them so.
        for _ in range(draw.randint(0, 2)):
            house.order()
        backup = house.back_up(f"{number}.db")
        next_seq = house.row(tables.device)["next_seq"]
        live(house, draw, draw.choice((0, 4, 12, 30, 80)))
        held = house.held()
        lost = house.bench.status().last_seq - next_seq + 1
        house.restore(backup)
        live(house, draw, draw.randint(0, 12))
        house.converge()
        # A job that was in hand pushes the oldest report out when it ends before the request arrives.
        house.check(held if house.held_when_asked is None else held & house.held_when_asked)
        items = house.rows(tables.job_item)
        doubtful = [row for row in items if row["state"] == "in_doubt" and row["says"] == "server"]
        assert not doubtful or number or lost > KEPT_COMPLETIONS - 1, (lost, doubtful)


def live(house: Restoring, draw: random.Random, steps: int) -> None:
    """Time passes; people order, cancel, and now and then the power fails."""
    for _ in range(steps):
        happening = draw.random()
        if happening < 0.25:
            house.order()
        elif happening < 0.28:
            house.cancel()
        elif happening < 0.30:
            house.cut_power()
        house.step()
