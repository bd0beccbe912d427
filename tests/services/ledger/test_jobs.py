"""Whatever is ordered, stopped, expired and dispensed, in any order: no flask is promised more than it holds."""

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from services.ledger import tables
from services.orders import AlreadyEnded, OrderRefused

AMOUNTS = st.integers(1, 400_000)
STEPS = st.one_of(
    st.tuples(
        st.just("place"),
        st.lists(st.tuples(st.integers(1, 3), AMOUNTS), min_size=1, max_size=4),
        st.sampled_from((None, 1, 3_000)),
    ),
    st.tuples(st.just("cancel"), st.integers(0, 9)),
    st.tuples(st.just("retry"), st.integers(0, 9)),
    st.tuples(st.just("due"), st.sampled_from((1, 2_500))),
    st.tuples(st.just("status"), st.booleans()),
    st.tuples(st.just("accept"), st.integers(0, 9)),
    st.tuples(
        st.just("complete"),
        st.integers(0, 9),
        st.lists(st.sampled_from(("done", "failed", "partial", "skipped", "in_doubt")), min_size=4, max_size=4),
    ),
)


class Story:
    """One dispenser of its own, and every job it was ever given."""

    def __init__(self, kitchen: Any) -> None:
        self.kitchen = kitchen
        self.device = next(kitchen.ids).replace("job", "unit")
        self.jobs: list[str] = []
        self.connection = 1
        kitchen.claim(self.device)

    def step(self, kind: str, *values: Any) -> None:
        # Refused is a fine answer: what counts is what it leaves behind.
        with contextlib.suppress(OrderRefused):
            getattr(self, kind)(*values)
        self.check()

    def place(self, items: list[tuple[int, int]], expires_ms: int | None) -> None:
        expires_at_ms = None if expires_ms is None else self.kitchen.now_ms + expires_ms
        self.jobs.append(self.kitchen.place(*items, device=self.device, expires_at_ms=expires_at_ms).job)

    def cancel(self, which: int) -> None:
        self.kitchen.cancel(self.pick(which))

    def retry(self, which: int) -> None:
        self.jobs.append(self.kitchen.retry(self.pick(which)).job)

    def due(self, after_ms: int) -> None:
        self.kitchen.due(after_ms)

    def status(self, online: bool) -> None:
        self.connection += online
        self.kitchen.status(self.device, online=online, connection=self.connection)

    def accept(self, which: int) -> None:
        job = self.pick(which)
        if self.jobs and self.kitchen.job(job).seq is not None:
            self.kitchen.accept(job)

    def complete(self, which: int, ends: list[str]) -> None:
        if not self.jobs:
            return
        view = self.kitchen.job(self.pick(which))
        if view.seq is None or view.state not in ("offered", "running", "expired"):
            return
        known = {"done": 1.0, "failed": 0.0, "partial": 0.5}
        reports = [
            ("failed" if end == "partial" else end, int(item.target_mg * known[end]) if end in known else None)
            for item, end in zip(view.items, ends, strict=False)
        ]
        self.kitchen.complete(view.job, *reports)

    def pick(self, which: int) -> str:
        return self.jobs[which % len(self.jobs)] if self.jobs else "job-none"

    def check(self) -> None:
        flask, job, item = tables.flask.c, tables.job.c, tables.job_item.c
        promised = (
            select(func.coalesce(func.sum(item.target_mg), 0))
            .join(tables.job, job.job == item.job)
            .where(job.device == flask.device, item.flask == flask.flask, item.state.in_(("pending", "dispensing")))
            .scalar_subquery()
        )
        moved = (
            select(func.coalesce(func.sum(tables.stock_movement.c.delta_mg), 0))
            .where(tables.stock_movement.c.device == flask.device, tables.stock_movement.c.flask == flask.flask)
            .scalar_subquery()
        )
        asked = select(flask.flask, flask.reserved_mg, promised, flask.stock_mg, moved).where(
            flask.device == self.device
        )
        with self.kitchen.database.read() as tx:
            for number, reserved_mg, promised_mg, stock_mg, moved_mg in tx.execute(asked):
                assert (reserved_mg, stock_mg) == (promised_mg, moved_mg), f"flask {number}"
                assert 0 <= reserved_mg <= stock_mg, f"flask {number}"
            open_jobs = select(func.count()).where(job.device == self.device, job.state.in_(("offered", "running")))
            assert tx.execute(open_jobs).scalar_one() <= 1


@settings(
    max_examples=20,
    deadline=None,  # the machine is shared
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # each story has a dispenser of its own
)
@given(steps=st.lists(STEPS, min_size=5, max_size=25))
def test_reservations_and_stock_balance_after_every_step(kitchen: Any, steps: list[tuple[Any, ...]]) -> None:
    story = Story(kitchen)
    story.step("status", True)
    for step in steps:
        story.step(*step)
    story.step("status", False)


@pytest.mark.parametrize("workers", [6])
def test_ordering_stopping_sending_and_settling_at_once_neither_deadlock_nor_diverge(
    kitchen: Any, workers: int
) -> None:
    devices = ("unit-a", "unit-b")
    for device in devices:
        kitchen.claim(device)
        kitchen.status(device)
    start = threading.Barrier(workers)

    def order(number: int) -> int:
        """Places, and cancels every other one."""
        start.wait(timeout=30)
        placed = 0
        for turn in range(12):
            flasks = ((1, 100), (2, 100), (3, 100)) if number % 2 else ((3, 100), (2, 100), (1, 100))
            job = kitchen.place(*flasks, device=devices[turn % 2], job_id=f"w{number}-{turn}")
            placed += 1
            if turn % 2 == number % 2:
                with contextlib.suppress(AlreadyEnded):  # dispensed before it could be stopped
                    kitchen.cancel(job.job)
        return placed

    def serve(_: int) -> int:
        """Sends what is due, and answers as the dispensers would."""
        start.wait(timeout=30)
        done = 0
        for _turn in range(20):
            for message in kitchen.due(after_ms=2_500):
                job = getattr(message.message, "job", None)
                if job is not None and kitchen.job(job).state in ("offered", "running"):
                    kitchen.complete(job, *[("done", 100)] * 3)
                    done += 1
        return done

    with ThreadPoolExecutor(workers) as pool:
        orders = [pool.submit(order, number) for number in range(workers - 2)]
        served = [pool.submit(serve, number) for number in range(2)]
        assert sum(future.result(timeout=60) for future in orders) == 12 * (workers - 2)
        assert sum(future.result(timeout=60) for future in served) > 0
    kitchen.audit()
