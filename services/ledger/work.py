"""What dispatch may have to do, and for whom: one select for each kind of work.

Each is asked twice: without a lock to find the dispensers (`found`), and again when they are locked (`among`).
"""

from collections.abc import Callable
from functools import cache
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Select, String, and_, bindparam, exists, or_, select, true, union

from protocol.states import SERVER, item_rank, job_rank
from services.ledger import jobs_sql, polling, tables
from services.ledger.jobs_sql import constant

# The answer to a command takes a round trip of two flash writes (up to 0.2 s each on an ESP32) and one ingest batch,
# well under a second. Two seconds is long enough not to repeat what is being answered, short enough not to be noticed.
OFFER_REPEAT_MS = 2000

EXPIRE = "expire"
NUMBER = "number"
CONFIGURE = "configure"
CANCEL = "cancel"
CANCEL_EXPIRED = "cancel expired"
OFFER = "offer"
SILENT = "silent"

# What the statements that look for work are asked with. Each is made once: making it takes longer than its answer.
_NOW_MS = bindparam("now_ms", type_=BigInteger())
_DEVICES = bindparam("devices", type_=String(), expanding=True)

_DEVICE = tables.device.c
_JOB = tables.job.c


@cache
def found() -> Select[Any]:
    """(device, work) of the dispensers with something to do. Takes `now_ms`, `most`. Without a lock."""
    kinds = [
        wanted(_NOW_MS).with_only_columns(device, constant(kind).label("work"))
        for kind, (wanted, device) in KINDS.items()
    ]
    all_of_it = union(*kinds).subquery()
    return select(all_of_it.c.device, all_of_it.c.work).order_by(all_of_it.c.device).limit(bindparam("most"))


@cache
def among(kind: str, asked: bool) -> Select[Any]:
    """The work of that kind, of the given dispensers only. Takes `devices`, `now_ms`."""
    wanted, _ = KINDS[kind]
    theirs: Select[Any] = wanted(None if asked else _NOW_MS).where(_DEVICE.device.in_(_DEVICES))
    return theirs


# For a dispenser that asks for itself `now_ms` is None: what was sent counts as sent long ago.


def _repeat(sent_at_ms: ColumnElement[int | None], now_ms: ColumnElement[int] | None) -> ColumnElement[bool]:
    """Never sent, sent long enough ago, or sent to an earlier connection than the one that the dispenser has now."""
    if now_ms is None:
        return true()
    return or_(
        sent_at_ms.is_(None),
        sent_at_ms <= now_ms - constant(OFFER_REPEAT_MS),
        _DEVICE.told_boot.is_distinct_from(_DEVICE.boot),
        _DEVICE.told_connection.is_distinct_from(_DEVICE.connection),
    )


def _takes_jobs() -> ColumnElement[bool]:
    return and_(
        _DEVICE.online,
        _DEVICE.fault.is_(None),
        _DEVICE.resend_left == constant(0),
        _DEVICE.config_version >= _DEVICE.desired_config_version,
    )


def _to_number(_now_ms: ColumnElement[int] | None) -> Select[Any]:
    """Jobs that need a number: the oldest queued one of a free dispenser; an offered one whose number was used up."""
    busy = tables.job.alias("busy")
    older = tables.job.alias("older")
    is_free = and_(
        _takes_jobs(),
        _DEVICE.job.is_(None),
        ~exists().where(
            busy.c.device == _JOB.device, jobs_sql.is_open(busy), busy.c.rank >= constant(job_rank("offered"))
        ),
    )
    is_oldest = ~exists().where(
        older.c.device == _JOB.device,
        jobs_sql.is_open(older),
        or_(
            older.c.placed_at_ms < _JOB.placed_at_ms,
            and_(older.c.placed_at_ms == _JOB.placed_at_ms, older.c.job < _JOB.job),
        ),
    )
    return _of_online(_JOB.job, _JOB.state, _JOB.retry_of).where(
        jobs_sql.is_open(),
        or_(
            and_(_JOB.state == constant("queued"), is_free, is_oldest),
            and_(_JOB.state == constant("offered"), _JOB.seq.is_(None), _DEVICE.resend_left == constant(0)),
        ),
    )


def _to_offer(now_ms: ColumnElement[int] | None) -> Select[Any]:
    """Jobs that were not accepted; and those of which their dispenser has opened no flask and has nothing in hand.

    The latter has lost the generation of its flash that held the job, or its completion is on its way: it takes the
    same number again, or answers from its journal. One that asks over HTTP (`now_ms` None) is not offered it: it says
    what it has in hand only now and then.
    """
    item = tables.job_item.c
    begun = exists().where(item.job == _JOB.job, item.rank > constant(item_rank("pending")))
    unanswered = _JOB.state == constant("offered")
    if now_ms is not None:
        unanswered = or_(unanswered, and_(_JOB.state == constant("running"), _DEVICE.job.is_(None), ~begun))
    return _of_online(_JOB.device, _JOB.job, _JOB.seq, _JOB.epoch).where(
        jobs_sql.is_open(),
        unanswered,
        _JOB.seq.is_not(None),
        _JOB.epoch == _DEVICE.epoch,
        _JOB.cancel_requested_at_ms.is_(None),
        _takes_jobs(),
        _repeat(_JOB.offer_sent_at_ms, now_ms),
    )


def _to_cancel(now_ms: ColumnElement[int] | None) -> Select[Any]:
    return _of_online(_JOB.device, _JOB.job, _JOB.seq, _JOB.epoch).where(
        jobs_sql.is_open(),
        _JOB.state != constant("queued"),
        _JOB.seq.is_not(None),
        _JOB.epoch == _DEVICE.epoch,
        _JOB.cancel_requested_at_ms.is_not(None),
        _repeat(_JOB.cancel_sent_at_ms, now_ms),
    )


def _to_cancel_expired(now_ms: ColumnElement[int] | None) -> Select[Any]:
    """Jobs whose time was up after they were offered: the dispenser is told to stop, and so says what it did.

    Not for ever: when it went on without a word of it, its items are in doubt, and it has no more to say.
    """
    item = tables.job_item.c
    waits = exists().where(item.job == _JOB.job, item.state == constant("skipped"), item.says == constant(SERVER))
    return _of_online(_JOB.device, _JOB.job, _JOB.seq, _JOB.epoch).where(
        jobs_sql.is_unanswered(),
        waits,
        _JOB.epoch == _DEVICE.epoch,
        _repeat(_JOB.cancel_sent_at_ms, now_ms),
    )


def _to_configure(now_ms: ColumnElement[int] | None) -> Select[Any]:
    return select(_DEVICE.device, _DEVICE.desired_config_version).where(
        _DEVICE.online,
        _DEVICE.config_version < _DEVICE.desired_config_version,
        _repeat(_DEVICE.config_sent_at_ms, now_ms),
    )


def _of_online(*columns: ColumnElement[Any]) -> Select[Any]:
    return select(*columns).join(tables.device, _DEVICE.device == _JOB.device).where(_DEVICE.online)


# Each kind of work: who wants it, and the column that names the dispenser.
KINDS: dict[str, tuple[Callable[[Any], Any], ColumnElement[str]]] = {
    EXPIRE: (jobs_sql.overdue, _JOB.device),
    NUMBER: (_to_number, _JOB.device),
    CONFIGURE: (_to_configure, _DEVICE.device),
    CANCEL: (_to_cancel, _JOB.device),
    CANCEL_EXPIRED: (_to_cancel_expired, _JOB.device),
    OFFER: (_to_offer, _JOB.device),
    SILENT: (polling.silent, _DEVICE.device),
}
