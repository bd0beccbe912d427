"""Writes what a batch changed, all rows of a table at once."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, CursorResult

from protocol.limits import MAX_COUNT
from protocol.messages import StockChanged
from protocol.states import ITEM_TRANSITIONS
from services.ledger.database import LedgerError, has_row_locks
from services.ledger.held import JOB_ENDED, HeldItem, HeldJob
from services.ledger.presence import SEEN_RESOLUTION_MS, HeldDevice
from services.ledger.settle_sql import Statement, Statements, statements
from services.ledger.tables import WHOLE_JOB

# What to write beside an item's new state when the dispenser gave no error.
_ITEM_REASONS = {(to, says): when for _, to, says, when in reversed(ITEM_TRANSITIONS)}

Stock = tuple[tuple[str, int, StockChanged], ...]


class LedgerMoved(LedgerError):
    """A row changed under the transaction that held it. Nothing was written; this is a defect, please report it."""


def write(
    tx: Connection, devices: Collection[HeldDevice], jobs: Iterable[HeldJob], now_ms: int
) -> tuple[Stock, tuple[str, ...]]:
    """Write every change of the held rows. Returns the flasks that moved and the ids of the jobs that changed."""
    to = _Writer(tx)
    changed = [job for job in jobs if job.changed or any(item.changed for item in job.items.values())]
    items = [(job, item) for job in changed for item in job.items.values() if item.changed]
    spoke = {job.device for job in changed}
    _write_devices(to, devices, spoke, now_ms)
    _write_jobs(to, [job for job in changed if job.changed], now_ms)
    _write_items(to, items)
    stock = _write_stock(to, items, now_ms)
    to.run(to.sql.add_flips, _flips(changed, items, now_ms))
    return stock, tuple(job.job for job in changed)


def stock_message(revision: int, ingredient: str, stock_mg: int, reserved_mg: int) -> StockChanged:
    """The message for a flask's row. A stock beyond what the wire can say is said as the nearest that it can."""
    return StockChanged(
        revision=min(revision, MAX_COUNT),
        ingredient=ingredient,
        stock_mg=max(-MAX_COUNT, min(stock_mg, MAX_COUNT)),
        reserved_mg=max(0, min(reserved_mg, MAX_COUNT)),
    )


class _Writer:
    """Runs statements on rows; no rows, no statement."""

    def __init__(self, tx: Connection) -> None:
        self._tx = tx
        self.sql: Statements = statements(tx.dialect.name)

    def run(self, statement: Statement, rows: Sequence[tuple[Any, ...]]) -> CursorResult[*tuple[Any, ...]] | None:
        if not rows:
            return None
        return statement.run(self._tx, rows)

    def hold(self, statement: Statement, keys: Sequence[tuple[Any, ...]]) -> None:
        """Lock the rows with these keys, in order."""
        if has_row_locks(self._tx):
            self.run(statement, keys)

    def swap(self, statement: Statement, rows: Sequence[tuple[Any, ...]]) -> None:
        """Run a compare-and-set that must hold for every row."""
        done = self.run(statement, rows)
        if done is not None and done.rowcount != len(rows):
            raise LedgerMoved(f"{len(rows)} rows were held, {done.rowcount} were still as read")


def _write_devices(to: _Writer, devices: Collection[HeldDevice], spoke: set[str], now_ms: int) -> None:
    # With all the rest of its row, where that is written anyway.
    seen = []
    for device in devices:
        last_ms = device.seen_at_ms
        is_due = last_ms is None or now_ms - last_ms >= SEEN_RESOLUTION_MS
        if is_due and (device.seen or device.device in spoke):
            device.seen_at_ms = now_ms
            if not device.changed:
                seen.append((device.device, now_ms))
    described = [
        tuple(getattr(device, name) for name in to.sql.put_devices.rows.c.keys())  # noqa: SIM118  # not a dict
        for device in devices
        if device.changed
    ]
    to.run(to.sql.put_devices, described)
    measured = [
        (device.device, now_ms, *device.telemetry.values().values())
        for device in devices
        if device.telemetry is not None
    ]
    to.run(to.sql.put_telemetry, measured)
    to.run(to.sql.put_seen, seen)
    to.run(to.sql.add_epochs, [(device.device, epoch, now_ms) for device in devices for epoch in device.new_epochs])


def _write_jobs(to: _Writer, jobs: Sequence[HeldJob], now_ms: int) -> None:
    rows = []
    for job in jobs:
        accepted_at_ms = job.accepted_at_ms
        if accepted_at_ms is None and job.accepted:
            accepted_at_ms = now_ms
        ended_at_ms = job.ended_at_ms
        if job.rank >= JOB_ENDED and job.rank != job.was_rank:
            ended_at_ms = now_ms
        rows.append(
            (job.job, job.was_rank, job.state, job.rank, job.says, job.seq, job.epoch, accepted_at_ms, ended_at_ms)
        )
    to.swap(to.sql.put_jobs, rows)


def _write_items(to: _Writer, items: Sequence[tuple[HeldJob, HeldItem]]) -> None:
    rows = [
        (
            *(job.job, item.item, item.was_rank, item.state, item.rank, item.says),
            *(item.dispensed_mg, item.duration_ms, item.error),
        )
        for job, item in items
    ]
    to.swap(to.sql.put_items, rows)


def _write_stock(to: _Writer, items: Sequence[tuple[HeldJob, HeldItem]], now_ms: int) -> Stock:
    """The movements, and the caches of their flasks: what left, and what is no longer reserved."""
    movements = []
    deltas: dict[tuple[str, int], tuple[int, int, int]] = {}
    for job, item in items:
        kind = item.moved
        left_mg = (item.dispensed_mg or 0) if kind else 0
        if kind:
            movements.append((job.device, item.flask, kind, -left_mg, job.job, item.item, now_ms, ""))
        if left_mg or item.released_mg:
            key = (job.device, item.flask)
            moved_mg, released_mg, changes = deltas.get(key, (0, 0, 0))
            deltas[key] = (moved_mg - left_mg, released_mg + item.released_mg, changes + 1)
    keys = sorted(deltas)
    to.hold(to.sql.hold_flasks, keys)
    to.run(to.sql.add_movements, movements)
    moved = to.run(to.sql.put_flasks, [(*key, *deltas[key]) for key in keys])
    rows = moved.all() if moved is not None else ()
    if len(rows) != len(keys):
        raise LedgerMoved(f"of the flasks {keys} only {len(rows)} are there")
    return tuple(
        (device, flask, stock_message(revision, ingredient, stock_mg, reserved_mg))
        for device, flask, revision, ingredient, stock_mg, reserved_mg in sorted(tuple(row) for row in rows)
    )


def _flips(
    jobs: Sequence[HeldJob], items: Sequence[tuple[HeldJob, HeldItem]], now_ms: int
) -> list[tuple[str, int, int, str, str, str, str, int]]:
    rows = [
        (job.job, WHOLE_JOB, job.rank, job.state, job.was_state, job.says, job.reason, now_ms)
        for job in jobs
        if job.rank != job.was_rank or job.state != job.was_state
    ]
    for job, item in items:
        reason = item.reason or _ITEM_REASONS.get((item.state, item.says), "")
        rows.append((job.job, item.item, item.rank, item.state, item.was_state, item.says, reason, now_ms))
    return rows
