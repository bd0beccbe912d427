"""`kill -9` of the whole house in the middle of jobs, then a restart: every job ends and the audit is clean."""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pitada.local.ports import free_port
from protocol.states import JOB_ENDS
from services import orders
from services.clock import now_ms
from services.ids import new_id
from services.ledger import queries
from services.ledger.database import Database
from services.orders import OrderedItem

DISPENSERS = 3
JOBS = 12
ITEMS = [OrderedItem(flask=1, target_mg=20_000), OrderedItem(flask=2, target_mg=15_000)]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Database]:
    """The house's own ledger, looked at from outside."""
    (tmp_path / "data").mkdir()
    database = Database(f"sqlite:///{tmp_path / 'data' / 'ledger.db'}")
    database.migrate()
    yield database
    database.close()


@pytest.mark.timeout(180)
async def test_after_kill_9_in_the_middle_of_jobs_everything_ends_and_the_audit_is_clean(
    ledger: Database,
    pitada: Callable[..., "subprocess.CompletedProcess[str]"],
    background: Callable[..., Any],
    until: Callable[..., Any],
) -> None:
    def states() -> list[str]:
        with ledger.read() as tx:
            return [job.state for job in queries.jobs(tx)]

    def online() -> int:
        with ledger.read() as tx:
            return sum(dispenser.online for dispenser in queries.dispensers(tx))

    port = str(free_port())
    up = ("up", "--broker-port", port, "--http-port", "0")
    house = background(*up)
    house.first_line()
    background("fleet", "--dispensers", str(DISPENSERS), "--broker-port", port, "--plan", "solid")
    await until(lambda: online() == DISPENSERS)
    for number in range(JOBS):
        device = f"sim-{number % DISPENSERS + 1:04}"
        orders.place(ledger, device=device, items=ITEMS, now_ms=now_ms(), job_id=new_id(), by="test")

    for ended_before in (0, 3, 6):
        await until(lambda least=ended_before: sum(state in JOB_ENDS for state in states()) > least)
        house.kill()
        assert set(states()) - set(JOB_ENDS), "the house was to be killed in the middle"
        house = background(*up)
        house.first_line()

    await until(lambda: set(states()) <= set(JOB_ENDS), within_s=90)
    assert states() == ["done"] * JOBS
    audit = pitada("audit", "--json")
    assert audit.returncode == 0
    found = json.loads(audit.stdout)
    assert (found["divergences"], found["problems"]) == (0, [])
    assert found["items_done"] == JOBS * len(ITEMS)
