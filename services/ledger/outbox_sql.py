"""The statements by which `outbox` notes what it sends, each made once: making one takes longer than running it.

Each says what it is executed with: `devices` and `jobs` are ids. A name of a column would be set by an update.
"""

from functools import cache
from typing import Any

from sqlalchemy import BigInteger, Select, String, Update, bindparam, case, func, or_, select, update
from sqlalchemy.sql.dml import ReturningUpdate

from protocol.messages import FlaskConfig
from protocol.states import job_rank
from services.ledger import tables
from services.ledger.jobs_sql import constant

_DEVICE = tables.device.c
_FLASK = tables.flask.c
_ITEM = tables.job_item.c
_JOB = tables.job.c
_DEVICES = bindparam("devices", type_=String(), expanding=True)
_JOBS = bindparam("jobs", type_=String(), expanding=True)

_NEXT_SEQ = case((_DEVICE.next_seq > _DEVICE.last_seq, _DEVICE.next_seq), else_=_DEVICE.last_seq + 1)


@cache
def hold_devices() -> Select[str]:
    """Takes `devices`."""
    held = select(_DEVICE.device).where(_DEVICE.device.in_(_DEVICES)).order_by(_DEVICE.device)
    return held.with_for_update(key_share=True)


@cache
def number_jobs() -> ReturningUpdate[str, str]:
    """(job, device) of those that it numbered. Takes `jobs`, `now_ms`."""
    return (
        update(tables.job)
        .where(_JOB.job.in_(_JOBS), or_(_JOB.state == constant("queued"), _JOB.seq.is_(None)))
        .values(
            state="offered",
            rank=job_rank("offered"),
            seq=select(_NEXT_SEQ).where(_DEVICE.device == _JOB.device).scalar_subquery(),
            epoch=select(_DEVICE.epoch).where(_DEVICE.device == _JOB.device).scalar_subquery(),
            offered_at_ms=func.coalesce(_JOB.offered_at_ms, bindparam("now_ms", type_=BigInteger())),
            offer_sent_at_ms=None,
            cancel_sent_at_ms=None,
        )
        .returning(_JOB.job, _JOB.device)
    )


@cache
def use_number() -> Update:
    """Takes `devices`."""
    return update(tables.device).where(_DEVICE.device.in_(_DEVICES)).values(next_seq=_NEXT_SEQ + 1)


@cache
def note_told() -> Update:
    """Takes `devices`."""
    told = update(tables.device).where(_DEVICE.device.in_(_DEVICES))
    return told.values(told_boot=_DEVICE.boot, told_connection=_DEVICE.connection)


@cache
def put_jobs() -> Update:
    """Takes `jobs`, and the columns to set."""
    return update(tables.job).where(_JOB.job.in_(_JOBS))


@cache
def put_devices() -> Update:
    """Takes `devices`, and the columns to set."""
    return update(tables.device).where(_DEVICE.device.in_(_DEVICES))


@cache
def offered_items() -> Select[str, int, int, int | None]:
    """(job, flask, target_mg, open_ms), in the order of each job. Takes `jobs`."""
    items = select(_ITEM.job, _ITEM.flask, _ITEM.target_mg, _ITEM.open_ms)
    return items.where(_ITEM.job.in_(_JOBS)).order_by(_ITEM.job, _ITEM.item)


@cache
def configured_flasks() -> Select[Any]:
    """(device, and the fields of `FlaskConfig`), by device and number. Takes `devices`."""
    fields = [_FLASK[field.name] for field in FlaskConfig.FIELDS]
    return select(_FLASK.device, *fields).where(_FLASK.device.in_(_DEVICES)).order_by(_FLASK.device, _FLASK.flask)
