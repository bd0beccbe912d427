"""Jobs as the server moves them: placed with their stock reserved, cancelled, expired. What dispensers say is settled
in `settle`.

Each function runs in the caller's transaction; `lock` comes first (see the lock order in `services.ledger`).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    RowMapping,
    Select,
    and_,
    bindparam,
    literal_column,
    select,
    update,
)

from protocol.states import ITEM_TRANSITIONS, JOB_TRANSITIONS, SERVER, item_rank, job_rank
from services.ledger import tables
from services.ledger.inserts import insert_all, insert_new
from services.ledger.tables import WHOLE_JOB

_JOB_REASONS = {(old, new): why for old, new, says, why in JOB_TRANSITIONS if says == SERVER}
_ITEM_REASONS = {(old, new): why for old, new, says, why in ITEM_TRANSITIONS if says == SERVER}


@dataclass(frozen=True, slots=True)
class NewItem:
    """One flask of a job to be placed, with what it holds. A retry's item names the item that it began as.

    `open_ms`: a calibration's opening.
    """

    flask: int
    target_mg: int
    ingredient: str
    origin_job: str | None = None
    origin_item: int | None = None
    open_ms: int | None = None


@dataclass(frozen=True, slots=True)
class MadeFrom:
    """The recipe that a job is made from. `scale_milli` in thousandths; None: made to a total weight."""

    recipe: str
    version: int
    scale_milli: int | None


@dataclass(frozen=True, slots=True)
class FlaskRow:
    """What an order needs to know of a flask."""

    flask: int
    ingredient: str
    stock_mg: int
    reserved_mg: int

    @property
    def available_mg(self) -> int:
        """What is not promised yet; below zero when more was dispensed than the stock says there was."""
        return self.stock_mg - self.reserved_mg


def is_open(table: FromClause = tables.job) -> ColumnElement[bool]:
    """The job has not ended. Written as the partial index `ix_job_open` has it: SQLite uses that for no other form."""
    return table.c.rank < literal_column("3")


def is_unanswered(table: FromClause = tables.job) -> ColumnElement[bool]:
    """The job's time was up after it was offered, and its dispenser has not said whether it took it.

    Written as the partial index `ix_job_unanswered` has it.
    """
    return and_(
        table.c.state == literal_column("'expired'"),
        table.c.says == literal_column("'server'"),
        table.c.seq.is_not(None),
    )


def lock_device(tx: Connection, device: str) -> bool:
    """Hold the dispenser's row until the end of the transaction. False: there is no such dispenser."""
    table = tables.device
    found = tx.execute(select(table.c.device).where(table.c.device == device).with_for_update(key_share=True))
    return found.first() is not None


def lock_job(tx: Connection, job: str) -> RowMapping | None:
    """Hold the job's dispenser, then the job; the job's row as it is then. None: there is no such job."""
    table = tables.job
    device = tx.execute(select(table.c.device).where(table.c.job == job)).scalar()
    if device is None or not lock_device(tx, device):
        return None
    return tx.execute(select(table).where(table.c.job == job).with_for_update(key_share=True)).mappings().first()


def lock_jobs(tx: Connection, jobs: Iterable[str]) -> None:
    """Hold the jobs, in order. Their dispensers are held."""
    table = tables.job
    held = select(table.c.job).where(table.c.job.in_(list(jobs))).order_by(table.c.job)
    tx.execute(held.with_for_update(key_share=True))


def flasks(tx: Connection, device: str) -> dict[int, FlaskRow]:
    """The dispenser's flasks by number."""
    table = tables.flask
    columns = (table.c.flask, table.c.ingredient, table.c.stock_mg, table.c.reserved_mg)
    rows = tx.execute(select(*columns).where(table.c.device == device).order_by(table.c.flask))
    return {row.flask: FlaskRow(*row) for row in rows}


def claim_key(tx: Connection, by: str, key: str, request_sha256: str, job: str, now_ms: int) -> tuple[str, str] | None:
    """Take the idempotency key for `job`. None: taken; else the (request_sha256, job) that have had it before."""
    table = tables.idempotency_key
    values = {"by": by, "key": key, "request_sha256": request_sha256, "job": job, "at_ms": now_ms}
    if insert_new(tx, table, values):
        return None
    first = tx.execute(select(table.c.request_sha256, table.c.job).where(table.c.by == by, table.c.key == key)).one()
    return first.request_sha256, first.job


def reserve(tx: Connection, device: str, flask: int, wanted_mg: int, items: int) -> bool:
    """Promise `wanted_mg` of the flask to `items` items, if what is available covers it. False: nothing changed."""
    table = tables.flask
    done = tx.execute(
        update(table)
        .where(
            table.c.device == device,
            table.c.flask == flask,
            table.c.stock_mg - table.c.reserved_mg >= wanted_mg,
        )
        .values(reserved_mg=table.c.reserved_mg + wanted_mg, revision=table.c.revision + items)
    )
    return done.rowcount == 1


def add_job(
    tx: Connection,
    job: str,
    device: str,
    items: Sequence[NewItem],
    *,
    now_ms: int,
    by: str,
    expires_at_ms: int | None,
    retry_of: str | None,
    made_from: MadeFrom | None,
) -> bool:
    """Queue a job whose stock is reserved. False: the id is taken."""
    values: dict[str, Any] = {
        "job": job,
        "device": device,
        "placed_at_ms": now_ms,
        "placed_by": by,
        "expires_at_ms": expires_at_ms,
        "retry_of": retry_of,
    }
    if made_from is not None:
        values |= {
            "recipe": made_from.recipe,
            "recipe_version": made_from.version,
            "recipe_scale_milli": made_from.scale_milli,
        }
    if not insert_new(tx, tables.job, values):
        return False
    insert_all(
        tx,
        tables.job_item,
        [
            {
                "job": job,
                "item": position,
                "flask": item.flask,
                "ingredient": item.ingredient,
                "target_mg": item.target_mg,
                "open_ms": item.open_ms,
                "origin_job": item.origin_job,
                "origin_item": item.origin_item,
            }
            for position, item in enumerate(items)
        ],
    )
    reason = "it was ordered" if retry_of is None else f"it retries job {retry_of}"
    insert_all(tx, tables.flip, [_flip((job, WHOLE_JOB), job_rank("queued"), None, "queued", reason, now_ms)])
    return True


def request_cancel(tx: Connection, job: str, *, now_ms: int, by: str) -> None:
    """Note that the job is to stop, and who wants it. The first request stands."""
    table = tables.job
    tx.execute(
        update(table)
        .where(table.c.job == job, table.c.cancel_requested_at_ms.is_(None))
        .values(cancel_requested_at_ms=now_ms, cancel_requested_by=by)
    )


def overdue(now_ms: ColumnElement[int] | int | None) -> Select[tuple[str, str]]:
    """(device, job) of every job whose time is up before its dispenser took it. Joined with `device`."""
    table = tables.job
    return (
        select(table.c.device, table.c.job)
        .join(tables.device, tables.device.c.device == table.c.device)
        .where(is_open(), table.c.rank < job_rank("running"), table.c.expires_at_ms <= now_ms)
    )


def end_unstarted(tx: Connection, jobs: Iterable[str], state: str, now_ms: int) -> tuple[str, ...]:
    """End the jobs that no dispenser has taken as `cancelled` or `expired`: items skipped, reservations released.

    Their device rows are locked. Returns the jobs that ended by this call: the others were further on already.
    """
    table = tables.job
    asked = list(jobs)
    if not asked:
        return ()
    lock_jobs(tx, asked)
    from_states = [old for old, new in _JOB_REASONS if new == state and job_rank(old) < job_rank("running")]
    open_jobs = tx.execute(
        select(table.c.job, table.c.state).where(table.c.job.in_(asked), table.c.state.in_(from_states))
    ).all()
    if not open_jobs:
        return ()
    before = {row.job: row.state for row in open_jobs}
    rank = job_rank(state, SERVER)
    ended = tx.execute(
        update(table)
        .where(table.c.job.in_(list(before)), table.c.state.in_(from_states))
        .values(state=state, rank=rank, says=SERVER, ended_at_ms=now_ms)
        .returning(table.c.job)
    ).scalars()
    names = tuple(sorted(ended))
    for old in sorted(set(before.values())):
        add_flips(tx, [(job, WHOLE_JOB) for job in names if before[job] == old], old, state, now_ms)
    _skip_items(tx, names, now_ms)
    return names


def add_flips(tx: Connection, of: Sequence[tuple[str, int]], old: str, new: str, now_ms: int) -> None:
    """Note that these (job, item or `WHOLE_JOB`), all jobs or all items, went from `old` to `new` by the server's word.

    The reason is the one of the transition table.
    """
    if not of:
        return
    whole = of[0][1] == WHOLE_JOB
    reason = (_JOB_REASONS if whole else _ITEM_REASONS)[old, new]
    rank = (job_rank if whole else item_rank)(new, SERVER)
    insert_all(tx, tables.flip, [_flip(one, rank, old, new, reason, now_ms) for one in of])


def _skip_items(tx: Connection, jobs: Sequence[str], now_ms: int) -> None:
    item, flask = tables.job_item, tables.flask
    rank = item_rank("skipped", SERVER)
    skipped = tx.execute(
        update(item)
        .where(item.c.job.in_(jobs), item.c.state == "pending")
        .values(state="skipped", rank=rank, says=SERVER)
        .returning(item.c.job, item.c.item, item.c.flask, item.c.target_mg)
    ).all()
    add_flips(tx, sorted((row.job, row.item) for row in skipped), "pending", "skipped", now_ms)
    device_of = dict(tx.execute(select(tables.job.c.job, tables.job.c.device).where(tables.job.c.job.in_(jobs))).all())
    freed: dict[tuple[str, int], list[int]] = {}
    for row in skipped:
        freed.setdefault((device_of[row.job], row.flask), []).append(row.target_mg)
    if freed:
        tx.execute(
            update(flask)
            .where(flask.c.device == bindparam("of_device"), flask.c.flask == bindparam("of_flask"))
            .values(
                reserved_mg=flask.c.reserved_mg - bindparam("freed_mg"),
                revision=flask.c.revision + bindparam("freed_items"),
            ),
            [
                {"of_device": device, "of_flask": number, "freed_mg": sum(amounts), "freed_items": len(amounts)}
                for (device, number), amounts in sorted(freed.items())
            ],
        )


def _flip(of: tuple[str, int], rank: int, old: str | None, new: str, reason: str, now_ms: int) -> dict[str, Any]:
    return {
        "job": of[0],
        "item": of[1],
        "rank": rank,
        "from_state": old,
        "to_state": new,
        "says": SERVER,
        "reason": reason,
        "at_ms": now_ms,
    }
