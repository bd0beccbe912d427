"""The statements of `settle`: each reads or writes all rows of a batch at once, in one shape for both databases.

Locks are taken in one order everywhere, so that nobody waits in a circle: device, job, flask, each by its key. A job's
row stands for its items.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import Connection, CursorResult, Executable, Select, and_, insert, select, text, union_all, update

from services.ledger.held import JOB_OFFERED, JOB_RUNNING
from services.ledger.jobs_sql import is_unanswered
from services.ledger.rows import Rows
from services.ledger.tables import device, device_epoch, flask, flip, job, job_item, stock_movement

DEVICE_COLUMNS = (
    *("device", "epoch", "boot", "connection", "status_ms", "online", "firmware", "reset_cause", "config_version"),
    *("job", "last_seq", "receipted_seq", "fault", "stop_ms", "stop_mg", "seen_at_ms", "refusal", "next_seq"),
    *("lost_from_seq", "lost_to_seq", "resend_left", "resend_sent_at_ms"),
)
JOB_COLUMNS = ("job", "device", "state", "rank", "says", "seq", "epoch", "accepted_at_ms", "ended_at_ms")
ITEM_COLUMNS = (
    *("item", "flask", "target_mg", "state", "rank", "says", "dispensed_mg", "duration_ms", "error"),
    *("resolution", "resolved_mg"),
)
# Spelled as in the index `ix_job_open`, so that it is used.
_OPEN_JOB = text("job.rank < 3")
_TELEMETRY_COLUMNS = (
    "rssi_dbm",
    "free_heap_bytes",
    "uptime_ms",
    "reconnects",
    "outage_ms",
    "flash_writes",
    "round_trip_ms",
)
_TEXTS = frozenset(
    (
        *("device", "epoch", "firmware", "reset_cause", "job", "fault", "refusal", "state", "says", "error", "kind"),
        *("note", "to_state", "from_state", "reason"),
    )
)
_FLAGS = frozenset(("online",))


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement and the rows that it takes."""

    rows: Rows
    sql: Executable

    def run(self, tx: Connection, rows: Sequence[tuple[Any, ...]]) -> CursorResult[*tuple[Any, ...]]:
        """Execute it with these rows."""
        return tx.execute(self.sql, self.rows.params(rows))


@dataclass(frozen=True, slots=True)
class Statements:
    """Everything `settle` asks of one kind of database."""

    hold_devices: Statement
    known_epochs: Statement
    open_jobs: Statement
    unanswered_jobs: Statement
    hold_jobs: Statement
    all_items: Statement
    named_items: Statement
    numbers: Statement
    hold_flasks: Statement
    put_devices: Statement
    put_telemetry: Statement
    put_seen: Statement
    add_epochs: Statement
    put_jobs: Statement
    put_items: Statement
    add_movements: Statement
    put_flasks: Statement
    add_flips: Statement


@cache
def statements(dialect: str) -> Statements:
    """The statements for `sqlite` or `postgresql`, made once."""
    return Statements(**_reads(dialect), **_device_writes(dialect), **_job_writes(dialect))


def _rows(dialect: str, *names: str) -> Rows:
    return Rows(dialect, {name: str if name in _TEXTS else bool if name in _FLAGS else int for name in names})


def _reads(dialect: str) -> dict[str, Statement]:
    names = _rows(dialect, "device")
    ids = _rows(dialect, "job")
    named = _rows(dialect, "job", "item")
    keys = _rows(dialect, "device", "flask")
    numbers = _rows(dialect, "device", "epoch", "seq")
    same_number = and_(job.c.device == numbers.c.device, job.c.epoch == numbers.c.epoch, job.c.seq == numbers.c.seq)
    same_flask = and_(flask.c.device == keys.c.device, flask.c.flask == keys.c.flask)
    by_device = device.c.device == names.c.device
    held = select(*[device.c[name] for name in DEVICE_COLUMNS]).join(names.table, by_device)
    jobs = select(*[job.c[name] for name in JOB_COLUMNS]).join(ids.table, job.c.job == ids.c.job)
    items = select(job_item.c.job, *[job_item.c[name] for name in ITEM_COLUMNS])
    all_items = items.join(ids.table, job_item.c.job == ids.c.job).order_by(job_item.c.job, job_item.c.item)
    same_item = and_(job_item.c.job == named.c.job, job_item.c.item == named.c.item)
    epochs = select(device_epoch.c.device, device_epoch.c.epoch).join(
        names.table, device_epoch.c.device == names.c.device
    )
    theirs = select(job.c.job).join(names.table, job.c.device == names.c.device)
    running = theirs.where(job.c.rank.between(JOB_OFFERED, JOB_RUNNING), _OPEN_JOB)
    used = _rows(dialect, "device", "seq")
    past = select(job.c.job).join(used.table, and_(job.c.device == used.c.device, job.c.seq <= used.c.seq))
    taken = select(job.c.device, job.c.epoch, job.c.seq, job.c.job).join(numbers.table, same_number)
    flasks = select(flask.c.device, flask.c.flask).join(keys.table, same_flask)
    return {
        "hold_devices": Statement(names, _locked(held.order_by(device.c.device), device)),
        "known_epochs": Statement(names, epochs),
        "open_jobs": Statement(names, union_all(running, theirs.where(is_unanswered()))),
        "unanswered_jobs": Statement(used, past.where(is_unanswered())),
        "hold_jobs": Statement(ids, _locked(jobs.order_by(job.c.job), job)),
        "all_items": Statement(ids, all_items),
        "named_items": Statement(named, items.join(named.table, same_item)),
        "numbers": Statement(numbers, taken),
        "hold_flasks": Statement(keys, _locked(flasks.order_by(flask.c.device, flask.c.flask), flask)),
    }


def _locked(reading: Select[Any], table: Any) -> Select[Any]:
    """With the rows locked until the end; SQLite ignores it, as its writer has the file for itself.

    Rows that only refer to the locked ones may still be added by others.
    """
    return reading.with_for_update(of=table, key_share=True)


def _device_writes(dialect: str) -> dict[str, Statement]:
    described = _rows(dialect, *DEVICE_COLUMNS)
    measured = _rows(dialect, "device", "telemetry_at_ms", *_TELEMETRY_COLUMNS)
    seen = _rows(dialect, "device", "seen_at_ms")
    epochs = _rows(dialect, "device", "epoch", "first_seen_at_ms")
    return {
        "put_devices": Statement(described, _put(device, described, "device")),
        "put_telemetry": Statement(measured, _put(device, measured, "device")),
        "put_seen": Statement(seen, _put(device, seen, "device")),
        "add_epochs": Statement(epochs, _add(device_epoch, epochs)),
    }


def _job_writes(dialect: str) -> dict[str, Statement]:
    jobs = _rows(
        dialect,
        *("job", "was_rank", "state", "rank", "says", "seq", "epoch", "accepted_at_ms", "ended_at_ms"),
    )
    items = _rows(
        dialect,
        *("job", "item", "was_rank", "state", "rank", "says", "dispensed_mg", "duration_ms", "error"),
    )
    movements = _rows(dialect, "device", "flask", "kind", "delta_mg", "job", "item", "at_ms", "note")
    flasks = _rows(dialect, "device", "flask", "moved_mg", "released_mg", "changes")
    flips = _rows(dialect, "job", "item", "rank", "to_state", "from_state", "says", "reason", "at_ms")
    moved = (
        update(flask)
        .where(flask.c.device == flasks.c.device, flask.c.flask == flasks.c.flask)
        .values(
            stock_mg=flask.c.stock_mg + flasks.c.moved_mg,
            reserved_mg=flask.c.reserved_mg - flasks.c.released_mg,
            revision=flask.c.revision + flasks.c.changes,
        )
        .returning(
            *[flask.c[name] for name in ("device", "flask", "revision", "ingredient", "stock_mg", "reserved_mg")]
        )
    )
    return {
        "put_jobs": Statement(jobs, _put(job, jobs, "job", was_rank=job.c.rank)),
        "put_items": Statement(items, _put(job_item, items, "job", "item", was_rank=job_item.c.rank)),
        "add_movements": Statement(movements, _add(stock_movement, movements)),
        "put_flasks": Statement(flasks, moved),
        "add_flips": Statement(flips, _add(flip, flips)),
    }


def _put(table: Any, rows: Rows, *key: str, **compared: Any) -> Executable:
    """Set the columns of the rows with that key, if the compared columns are still what the rows say they were."""
    same = [table.c[name] == rows.c[name] for name in key]
    same += [present == rows.c[name] for name, present in compared.items()]
    written = [name for name in rows.c.keys() if name not in key and name not in compared]  # noqa: SIM118  # not a dict
    return update(table).where(*same).values(**rows.columns(*written))


def _add(table: Any, rows: Rows) -> Executable:
    names = list(rows.c.keys())
    return insert(table).from_select(names, select(*[rows.c[name] for name in names]), include_defaults=False)
