"""The audit finds what is wrong, each kind of it."""

from typing import Any

import pytest
from sqlalchemy import Executable, delete, insert, update

from services.ledger.audit import PROBLEMS_TOLD, Audit, audit
from services.ledger.tables import flask, job_item, stock_movement

TWO = [(1, 100), (2, 200)]


def look(floor: Any) -> Audit:
    with floor.database.read() as tx:
        return audit(tx)


def done(floor: Any) -> None:
    floor.offer("j", TWO)
    floor.settle(floor.completed("j", floor.report(0, 1, 100), floor.report(1, 2, 200, "in_doubt")))
    floor.place("k", TWO)


def test_a_whole_ledger_has_no_divergence_and_counts_what_it_saw(floor: Any) -> None:
    done(floor)
    assert look(floor) == Audit(movements=5, flasks=4, items_done=1, divergences=0, problems=[], in_doubt=1)


MOVED = {"device": "d-1", "flask": 1, "kind": "dispense", "at_ms": 1, "note": ""}
BROKEN: dict[str, tuple[Executable, str]] = {
    "a cache that drifted": (update(flask).where(flask.c.flask == 1).values(stock_mg=7), "says 7 mg"),
    "a reservation that drifted": (update(flask).where(flask.c.flask == 1).values(reserved_mg=7), "reserves 7 mg"),
    "a lost movement": (delete(stock_movement).where(stock_movement.c.job == "j"), "has 0 movements"),
    "a done item that had none": (
        update(job_item).where(job_item.c.job == "k").values(state="done"),
        "has 0 movements",
    ),
    "a changed amount": (update(job_item).where(job_item.c.job == "j").values(dispensed_mg=99), "99 mg, but has 1"),
    "a movement of no item": (insert(stock_movement).values(**MOVED, delta_mg=-1, job="x", item=0), "job x"),
    "a movement of no flask": (insert(stock_movement).values({**MOVED, "flask": 9, "delta_mg": -1}), "flask 9"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_it_tells_of(floor: Any, case: str) -> None:
    breaking, words = BROKEN[case]
    done(floor)
    with floor.database.write() as tx:
        tx.execute(breaking)
    found = look(floor)
    assert found.divergences == len(found.problems) >= 1
    assert any(words in problem for problem in found.problems)


def test_it_counts_every_divergence_and_tells_the_first(floor: Any) -> None:
    for number in range(30):
        floor.claim(f"e-{number}")
    with floor.database.write() as tx:
        tx.execute(update(flask).values(stock_mg=7))
    found = look(floor)
    assert found.divergences == 31 * 4
    assert len(found.problems) == PROBLEMS_TOLD
