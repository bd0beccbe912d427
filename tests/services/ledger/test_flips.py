"""Every change of a job or an item writes exactly one flip, and the flips of each join up from its first state on.

A kitchen is driven through everything that changes states, in any order; after each step the tables before and after
are compared with the flips that the step wrote.
"""

import itertools
from collections.abc import Callable
from functools import partial
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select

from protocol.states import JOB_ENDS
from services.ledger import jobs, stock, tables
from services.ledger.database import Database
from services.ledger.settle import Incoming, settle
from services.ledger.stock import NotInDoubt
from services.orders import OrderRefused
from tests.services.conftest import Kitchen

Key = tuple[str, int]
# (state, who says so, resolution) of a job or an item
Stand = tuple[str, str, str | None]

STEPS = ("place", "offer", "accept", "complete", "cancel", "retry", "expire", "resolve", "replace", "online", "repeat")
ENDS = st.sampled_from([("done", 100), ("failed", 30), ("skipped", 0), ("in_doubt", None)])


class Watched:
    """A kitchen whose every step is held against the flips that it wrote."""

    def __init__(self, kitchen: Kitchen) -> None:
        self.kitchen = kitchen
        self.epochs = itertools.count(1)
        self.connection = 1
        self.completed: list[tuple[str, list[tuple[str, int | None]]]] = []

    def do(self, step: Callable[[], object]) -> None:
        self.kitchen.now_ms += 1
        before, known = self.stands(), self.flips()
        try:
            step()
        except (OrderRefused, NotInDoubt):
            assert self.stands() == before
        after = self.stands()
        new = [flip for flip in self.flips() if flip not in known]
        changed = {key for key in after if before.get(key) != after[key]}
        written = [(flip["job"], flip["item"]) for flip in new]
        placed = {key for key in changed if key not in before and key[1] >= 0}  # a new item is told by its job's flip
        assert sorted(written) == sorted(changed - placed)
        for flip in new:
            key = (flip["job"], flip["item"])
            assert flip["from_state"] == (before[key][0] if key in before else None)
            assert flip["to_state"] == after[key][0]
            assert flip["reason"]

    def stands(self) -> dict[Key, Stand]:
        job, item = tables.job.c, tables.job_item.c
        with self.kitchen.database.read() as tx:
            found: dict[Key, Stand] = {
                (name, -1): (state, says, None)
                for name, state, says in tx.execute(select(job.job, job.state, job.says))
            }
            asked = select(item.job, item.item, item.state, item.says, item.resolution)
            for name, number, state, says, resolution in tx.execute(asked):
                found[name, number] = (state, says, resolution)
        return found

    def flips(self) -> list[dict[str, Any]]:
        """In the order in which they were written."""
        table = tables.flip
        with self.kitchen.database.read() as tx:
            return [dict(row) for row in tx.execute(select(table).order_by(table.c.at_ms, table.c.rank)).mappings()]

    def in_state(self, *states: str) -> list[str]:
        return sorted(job for (job, item), (state, *_) in self.stands().items() if item == -1 and state in states)

    def offered(self) -> list[str]:
        return self.in_state("offered", "running")

    # Steps; each takes its choices from `draw`

    def place(self, draw: Any) -> None:
        amounts = draw(st.lists(st.tuples(st.integers(1, 3), st.just(100)), min_size=1, max_size=3))
        expires_at_ms = draw(st.sampled_from([None, self.kitchen.now_ms + 50]))
        self.do(lambda: self.kitchen.place(*amounts, expires_at_ms=expires_at_ms))

    def online(self, draw: Any) -> None:
        self.connection += 1
        self.do(lambda: self.kitchen.status(connection=self.connection))

    def offer(self, draw: Any) -> None:
        self.do(self.kitchen.due)

    def accept(self, draw: Any) -> None:
        for job in self.offered()[:1]:
            refusal = draw(st.sampled_from([None, None, "busy"]))
            self.do(partial(self.kitchen.accept, job, refusal))

    def complete(self, draw: Any) -> None:
        for job in [*self.offered(), *self.in_state("expired")][:1]:
            if self.kitchen.job(job).seq is None:
                continue
            items = self.kitchen.job(job).items
            ends = [draw(ENDS) for _ in items] if draw(st.booleans()) else [("done", 100) for _ in items]
            self.completed.append((job, ends))
            self.do(partial(self.kitchen.complete, job, *ends))

    def repeat(self, draw: Any) -> None:
        for job, ends in self.completed[-1:]:
            self.do(partial(self.kitchen.complete, job, *ends))

    def cancel(self, draw: Any) -> None:
        for job in self.in_state("queued", "offered", "running")[:1]:
            self.do(partial(self.kitchen.cancel, job))

    def retry(self, draw: Any) -> None:
        for job in self.in_state(*JOB_ENDS)[-1:]:
            self.do(partial(self.kitchen.retry, job))

    def expire(self, draw: Any) -> None:
        self.do(lambda: self.kitchen.due(after_ms=60))

    def resolve(self, draw: Any) -> None:
        doubtful = sorted(key for key, (state, _, known) in self.stands().items() if state == "in_doubt" and not known)
        for job, item in doubtful[:1]:
            outcome, weighed_mg = draw(st.sampled_from([("dispensed", None), ("not_dispensed", None), ("weighed", 7)]))
            self.do(partial(self._resolve, job, item, outcome, weighed_mg))

    def replace(self, draw: Any) -> None:
        """The board is another one from now on, or the flash was wiped; then the old one is back."""
        if draw(st.integers(0, 3)) == 0:
            epoch = f"bbbbbbb{next(self.epochs) % 10}"
            self.do(lambda: self.kitchen.status(epoch=epoch, connection=1))

    def _resolve(self, job: str, item: int, outcome: str, weighed_mg: int | None) -> None:
        self.kitchen.now_ms += 1
        with self.kitchen.database.write() as tx:
            stock.resolve(tx, job, item, outcome=outcome, weighed_mg=weighed_mg, by="ana", now_ms=self.kitchen.now_ms)


class Loose(Kitchen):
    """Says what it likes: what does not fit is a dead letter, and must write no flip."""

    def settle(self, *batch: Incoming) -> None:
        with self.database.write() as tx:
            settle(tx, batch, self.now_ms)
        self.audit()


def emptied(database: Database) -> Loose:
    with database.write() as tx:
        for table in reversed(tables.METADATA.sorted_tables):
            tx.execute(delete(table))
    return Loose(database)


@settings(
    max_examples=20,
    deadline=None,
    # The database is emptied before each use.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=st.lists(st.sampled_from(STEPS), min_size=3, max_size=14), data=st.data())
def test_each_change_of_state_is_one_flip_from_what_was_to_what_is(
    database: Database, steps: list[str], data: st.DataObject
) -> None:
    watched = Watched(emptied(database))
    # Most walks begin so; the rest of the list goes on from there.
    for step in ("place", "online", "offer", *steps):
        getattr(watched, step)(data.draw)
    join_up(watched)


def join_up(watched: Watched) -> None:
    chains: dict[Key, list[dict[str, Any]]] = {}
    for flip in watched.flips():
        chains.setdefault((flip["job"], flip["item"]), []).append(flip)
    for key, (state, *_) in watched.stands().items():
        chain = chains.get(key, [])
        assert chain or key[1] >= 0, key
        assert [flip["from_state"] for flip in chain] == [
            *([None] if key[1] < 0 else ["pending"])[: len(chain)],
            *[flip["to_state"] for flip in chain[:-1]],
        ]
        assert (chain[-1]["to_state"] if chain else "pending") == state


def test_two_cancels_and_two_expiries_write_one_flip(kitchen: Kitchen) -> None:
    watched = Watched(kitchen)
    job = kitchen.place((1, 100), expires_at_ms=kitchen.now_ms + 5)
    for _ in range(2):
        watched.do(lambda: kitchen.cancel(job.job))
        watched.do(lambda: kitchen.due(after_ms=60))
    assert [(item, to) for item, _, to in kitchen.flips(job.job)] == [
        (-1, "queued"),
        (-1, "cancelled"),
        (0, "skipped"),
    ]
    with kitchen.database.write() as tx:
        assert jobs.end_unstarted(tx, [job.job], "cancelled", kitchen.now_ms) == ()
