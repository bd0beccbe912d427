"""Jobs as the server moves them: placed with their stock reserved, cancelled, expired. What dispensers say is settled
in `settle`.

Each function runs in the caller's transaction; `lock` comes first (see the lock order in `services.ledger`).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, RowMapping

from protocol.states import ITEM_TRANSITIONS, JOB_TRANSITIONS, SERVER, item_rank, job_rank
from services.ledger import jobs_sql, tables
from services.ledger.database import has_row_locks
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


def lock_device(tx: Connection, device: str) -> bool:
    """Hold the dispenser's row until the end of the transaction. False: there is no such dispenser."""
    return tx.execute(jobs_sql.hold_device(), {"of_device": device}).first() is not None


def lock_job(tx: Connection, job: str) -> RowMapping | None:
    """Hold the job's dispenser, then the job; the job's row as it is then. None: there is no such job."""
    device = tx.execute(jobs_sql.device_of(), {"of_job": job}).scalar()
    if device is None or not lock_device(tx, device):
        return None
    return tx.execute(jobs_sql.hold_job(), {"of_job": job}).mappings().first()


def lock_jobs(tx: Connection, jobs: Iterable[str]) -> None:
    """Hold the jobs, in order. Their dispensers are held."""
    if has_row_locks(tx):
        tx.execute(jobs_sql.hold_jobs(), {"jobs": list(jobs)})


def flasks(tx: Connection, device: str) -> dict[int, FlaskRow]:
    """The dispenser's flasks by number."""
    return {row.flask: FlaskRow(*row) for row in tx.execute(jobs_sql.flasks(), {"of_device": device})}


def claim_key(tx: Connection, by: str, key: str, request_sha256: str, job: str, now_ms: int) -> tuple[str, str] | None:
    """Take the idempotency key for `job`. None: taken; else the (request_sha256, job) that have had it before."""
    values = {"by": by, "key": key, "request_sha256": request_sha256, "job": job, "at_ms": now_ms}
    if insert_new(tx, tables.idempotency_key, values):
        return None
    first = tx.execute(jobs_sql.key_owner(), {"of_by": by, "of_key": key}).one()
    return first.request_sha256, first.job


def reserve(tx: Connection, device: str, flask: int, wanted_mg: int, items: int) -> bool:
    """Promise `wanted_mg` of the flask to `items` items, if what is available covers it. False: nothing changed."""
    given = {"of_device": device, "of_flask": flask, "wanted_mg": wanted_mg, "items": items}
    return tx.execute(jobs_sql.reserve(), given).rowcount == 1


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
    tx.execute(jobs_sql.request_cancel(), {"of_job": job, "cancel_requested_at_ms": now_ms, "cancel_requested_by": by})


def end_unstarted(tx: Connection, jobs: Iterable[str], state: str, now_ms: int) -> tuple[str, ...]:
    """End the jobs that no dispenser has taken as `cancelled` or `expired`: items skipped, reservations released.

    Their device rows are locked. Returns the jobs that ended by this call: the others were further on already.
    """
    asked = list(jobs)
    if not asked:
        return ()
    lock_jobs(tx, asked)
    from_states = [old for old, new in _JOB_REASONS if new == state and job_rank(old) < job_rank("running")]
    open_jobs = tx.execute(jobs_sql.unstarted(), {"jobs": asked, "from_states": from_states}).all()
    if not open_jobs:
        return ()
    before = {row.job: row.state for row in open_jobs}
    ending = {"state": state, "rank": job_rank(state, SERVER), "says": SERVER, "ended_at_ms": now_ms}
    given = {"jobs": list(before), "from_states": from_states, **ending}
    ended = tx.execute(jobs_sql.end_unstarted(), given).scalars()
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
    skipped = tx.execute(jobs_sql.skip_items(), {"jobs": jobs}).all()
    add_flips(tx, sorted((row.job, row.item) for row in skipped), "pending", "skipped", now_ms)
    device_of = {row.job: row.device for row in tx.execute(jobs_sql.devices_of(), {"jobs": jobs})}
    freed: dict[tuple[str, int], list[int]] = {}
    for row in skipped:
        freed.setdefault((device_of[row.job], row.flask), []).append(row.target_mg)
    if freed:
        tx.execute(
            jobs_sql.release(),
            [
                {"of_device": device, "of_flask": number, "freed_mg": sum(amounts), "items": len(amounts)}
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
