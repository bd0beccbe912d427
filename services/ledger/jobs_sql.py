"""The statements of `jobs`, each made once: making one takes longer than running it.

Each says what it is executed with: `of_…` names the row, `jobs` are ids. A name of a column would be set by an update.
"""

from functools import cache
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    FromClause,
    Select,
    String,
    Update,
    and_,
    bindparam,
    literal_column,
    select,
    update,
)
from sqlalchemy.sql.dml import ReturningUpdate

from protocol.states import SERVER, item_rank, job_rank
from services.ledger import tables

_DEVICE = tables.device.c
_FLASK = tables.flask.c
_ITEM = tables.job_item.c
_JOB = tables.job.c
_KEY = tables.idempotency_key.c
_JOBS = bindparam("jobs", type_=String(), expanding=True)
_FROM_STATES = bindparam("from_states", type_=String(), expanding=True)


def constant(value: str | int) -> ColumnElement[Any]:
    """A state, a rank or another number that never changes, written into the statement.

    SQLite compares a bound one with its partial indexes, and so prepares the statement anew for each execution.
    """
    return literal_column(f"'{value}'" if isinstance(value, str) else str(value))


def is_open(table: FromClause = tables.job) -> ColumnElement[bool]:
    """The job has not ended. Written as the partial index `ix_job_open` has it: SQLite uses that for no other form."""
    return table.c.rank < constant(3)


def is_unanswered(table: FromClause = tables.job) -> ColumnElement[bool]:
    """The job's time was up after it was offered, and its dispenser has not said whether it took it.

    Written as the partial index `ix_job_unanswered` has it.
    """
    return and_(
        table.c.state == constant("expired"),
        table.c.says == constant(SERVER),
        table.c.seq.is_not(None),
    )


@cache
def hold_device() -> Select[str]:
    """Takes `of_device`."""
    return select(_DEVICE.device).where(_DEVICE.device == bindparam("of_device")).with_for_update(key_share=True)


@cache
def device_of() -> Select[str]:
    """Takes `of_job`."""
    return select(_JOB.device).where(_JOB.job == bindparam("of_job"))


@cache
def devices_of() -> Select[str, str]:
    """(job, device). Takes `jobs`."""
    return select(_JOB.job, _JOB.device).where(_JOB.job.in_(_JOBS))


@cache
def hold_job() -> Select[Any]:
    """The whole row. Takes `of_job`."""
    return select(tables.job).where(_JOB.job == bindparam("of_job")).with_for_update(key_share=True)


@cache
def hold_jobs() -> Select[str]:
    """Takes `jobs`."""
    return select(_JOB.job).where(_JOB.job.in_(_JOBS)).order_by(_JOB.job).with_for_update(key_share=True)


@cache
def flasks() -> Select[int, str, int, int]:
    """The columns of `jobs.FlaskRow`. Takes `of_device`."""
    columns = (_FLASK.flask, _FLASK.ingredient, _FLASK.stock_mg, _FLASK.reserved_mg)
    return select(*columns).where(_FLASK.device == bindparam("of_device")).order_by(_FLASK.flask)


@cache
def key_owner() -> Select[str, str]:
    """(request_sha256, job) of an idempotency key. Takes `of_by`, `of_key`."""
    return select(_KEY.request_sha256, _KEY.job).where(_KEY.by == bindparam("of_by"), _KEY.key == bindparam("of_key"))


@cache
def reserve() -> Update:
    """If what is available covers it. Takes `of_device`, `of_flask`, `wanted_mg`, `items`."""
    wanted_mg: BindParameter[int] = bindparam("wanted_mg")
    return (
        update(tables.flask)
        .where(
            _FLASK.device == bindparam("of_device"),
            _FLASK.flask == bindparam("of_flask"),
            _FLASK.stock_mg - _FLASK.reserved_mg >= wanted_mg,
        )
        .values(reserved_mg=_FLASK.reserved_mg + wanted_mg, revision=_FLASK.revision + bindparam("items"))
    )


@cache
def release() -> Update:
    """Takes `of_device`, `of_flask`, `freed_mg`, `items`."""
    return (
        update(tables.flask)
        .where(_FLASK.device == bindparam("of_device"), _FLASK.flask == bindparam("of_flask"))
        .values(reserved_mg=_FLASK.reserved_mg - bindparam("freed_mg"), revision=_FLASK.revision + bindparam("items"))
    )


@cache
def request_cancel() -> Update:
    """If nobody has. Takes `of_job`, and the columns to set."""
    return update(tables.job).where(_JOB.job == bindparam("of_job"), _JOB.cancel_requested_at_ms.is_(None))


@cache
def unstarted() -> Select[str, str]:
    """(job, state). Takes `jobs`, `from_states`."""
    return select(_JOB.job, _JOB.state).where(_JOB.job.in_(_JOBS), _JOB.state.in_(_FROM_STATES))


@cache
def end_unstarted() -> ReturningUpdate[str]:
    """The jobs that it ended. Takes `jobs`, `from_states`, and the columns to set."""
    return update(tables.job).where(_JOB.job.in_(_JOBS), _JOB.state.in_(_FROM_STATES)).returning(_JOB.job)


@cache
def skip_items() -> ReturningUpdate[str, int, int, int]:
    """(job, item, flask, target_mg) of those that it skipped. Takes `jobs`."""
    return (
        update(tables.job_item)
        .where(_ITEM.job.in_(_JOBS), _ITEM.state == constant("pending"))
        .values(state="skipped", rank=item_rank("skipped", SERVER), says=SERVER)
        .returning(_ITEM.job, _ITEM.item, _ITEM.flask, _ITEM.target_mg)
    )


def overdue(now_ms: ColumnElement[int] | int | None) -> Select[str, str]:
    """(device, job) of every job whose time is up before its dispenser took it. Joined with `device`."""
    return (
        select(_JOB.device, _JOB.job)
        .join(tables.device, _DEVICE.device == _JOB.device)
        .where(is_open(), _JOB.rank < constant(job_rank("running")), _JOB.expires_at_ms <= now_ms)
    )
