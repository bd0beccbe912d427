"""A ledger restored from a backup learns what it lost from the dispensers' own journals.

A dispenser whose status is ahead of the ledger (`presence`) used job numbers that the ledger does not know. Its next
number is put above them, it is asked for its reports from the first of them on, and it is offered nothing until they
are here or cannot come. Then what may have run without anyone knowing is in doubt: it is never offered again.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Select,
    String,
    Update,
    and_,
    bindparam,
    or_,
    select,
    union,
    update,
)

from protocol.limits import KEPT_COMPLETIONS
from protocol.messages import ItemReport, JobCompleted, ResendCompletions
from protocol.states import JOB_TRANSITIONS, SERVER
from services.ledger import jobs, jobs_sql, tables
from services.ledger.held import JOB_SETTLED, HeldItem, HeldJob
from services.ledger.jobs import NewItem
from services.ledger.jobs_sql import constant
from services.ledger.presence import RESEND_TRIES
from services.ledger.settle_sql import JOB_COLUMNS, statements
from services.ledger.settle_writes import write

# Eight completions go out one at a time, each with a round trip, and a flask that is open delays them: seconds.
RESEND_REPEAT_MS = 5000

# Who placed a job that the backup did not have.
PLACED_BY = "restored"

UNKNOWN_FATE = next(why for old, new, says, why in JOB_TRANSITIONS if (old, new, says) == ("queued", "failed", SERVER))

_DEVICE = tables.device.c
_JOB = tables.job.c
_ASKED = (_DEVICE.device, _DEVICE.epoch, _DEVICE.job, _DEVICE.lost_from_seq, _DEVICE.lost_to_seq, _DEVICE.lost_at_ms)
_ASKING = (_DEVICE.resend_left, _DEVICE.resend_sent_at_ms)
_NOW_MS = bindparam("now_ms", type_=BigInteger())
_OF_THESE = _DEVICE.device.in_(bindparam("devices", type_=String(), expanding=True))


def is_due(tx: Connection, now_ms: int) -> bool:
    """Whether `ask` has something to do; `tx` from `Database.read`, so that a look costs the writers nothing."""
    return tx.execute(_anyone(), {"now_ms": now_ms}).first() is not None


def ask(tx: Connection, now_ms: int) -> list[tuple[str, ResendCompletions]]:
    """The requests to publish now, after the commit: (device, message). Ends the waiting that has come to its end.

    The end is when every lost number has its report, or nothing more can come: the newest that a dispenser keeps are
    here, or it was asked `RESEND_TRIES` times. A job in hand is waited for.
    """
    names = list(tx.execute(_concerned(), {"now_ms": now_ms}).scalars())
    # All at once and in order: see the lock order in `services.ledger`.
    _lose_unreported(tx, tx.execute(_held(), {"devices": names}).all())
    waiting = tx.execute(_to_ask(), {"devices": names, "now_ms": now_ms}).all()
    requests = []
    for device in waiting:
        known = _settled_numbers(tx, device)
        kept_from = max(device.lost_from_seq, device.lost_to_seq - KEPT_COMPLETIONS + 1)
        has_all_kept = known.issuperset(range(kept_from, device.lost_to_seq + 1))
        is_last = device.job is None and device.resend_left == 1
        if has_all_kept and kept_from == device.lost_from_seq:
            _set(tx, device.device, resend_left=0)
        elif device.resend_sent_at_ms is not None and (has_all_kept or is_last):
            _set(tx, device.device, resend_left=0)
            _lose_open_jobs(tx, device, now_ms)
        elif device.job is None or device.resend_sent_at_ms is None:
            first = device.resend_left == RESEND_TRIES
            values = {"lost_at_ms": now_ms} if first else {}
            left = device.resend_left - 1
            _set(tx, device.device, resend_left=left, resend_sent_at_ms=now_ms, **values)
            requests.append((device.device, ResendCompletions(from_seq=device.lost_from_seq)))
    return requests


def recreate(tx: Connection, device: str, done: JobCompleted, now_ms: int) -> Sequence[Any] | None:
    """Queue the job of a report as if it had been ordered now, its stock reserved; its columns as `HeldJob` has them.

    The device is held. None: the report names a flask that is not there, or the id is taken.
    """
    flasks = jobs.flasks(tx, device)
    if any(report.flask not in flasks for report in done.items):
        return None
    items = [NewItem(report.flask, report.target_mg, flasks[report.flask].ingredient) for report in done.items]
    added = jobs.add_job(
        tx, done.job, device, items, now_ms=now_ms, by=PLACED_BY, expires_at_ms=None, retry_of=None, made_from=None
    )
    if not added:
        return None
    for report in sorted(done.items, key=lambda one: one.flask):
        # Whatever the stock is: it has left already.
        tx.execute(_promise(), {"of_device": device, "of_flask": report.flask, "promised_mg": report.target_mg})
    return tx.execute(_as_held(), {"of_job": done.job}).one()


def waiting(report: ItemReport) -> HeldItem:
    """The item of a recreated job, before its report is taken."""
    return HeldItem(report.item, report.flask, report.target_mg, "pending", 0, SERVER, *(None,) * 5)


def take_number_back(tx: Connection, job: str) -> bool:
    """Take the number from a job that no dispenser accepted; it gets another. False: it is not such a job."""
    freed = tx.execute(_take_number(), {"of_job": job})
    return freed.rowcount == 1


# Asked all day long, and nearly always in vain: made once, for making it takes longer than its answer.
@cache
def _concerned() -> Any:
    """The dispensers for which `ask` may have something to do."""
    waiting = select(_DEVICE.device).where(_is_waiting())
    return union(waiting, _unreported().with_only_columns(_DEVICE.device))


@cache
def _anyone() -> Any:
    return _concerned().limit(1)


@cache
def _held() -> Select[Any]:
    return select(*_ASKED, *_ASKING).where(_OF_THESE).order_by(_DEVICE.device).with_for_update(key_share=True)


@cache
def _to_ask() -> Select[Any]:
    return select(*_ASKED, *_ASKING).where(_OF_THESE, _is_waiting()).order_by(_DEVICE.device)


def _is_waiting() -> ColumnElement[bool]:
    sent_at_ms = _DEVICE.resend_sent_at_ms
    return and_(
        _DEVICE.online,
        _DEVICE.resend_left > constant(0),
        or_(sent_at_ms.is_(None), sent_at_ms <= _NOW_MS - constant(RESEND_REPEAT_MS)),
    )


@cache
def _unreported_of_these() -> Any:
    return _unreported().where(_OF_THESE)


def _unreported() -> Any:
    """Open jobs whose dispenser was told that its report is here: it came after the backup."""
    outside = or_(_DEVICE.resend_left == constant(0), _JOB.seq < _DEVICE.lost_from_seq, _JOB.seq > _DEVICE.lost_to_seq)
    return (
        select(_DEVICE.device, _JOB.seq)
        .join(tables.device, _DEVICE.device == _JOB.device)
        .where(jobs_sql.is_open(), _JOB.epoch == _DEVICE.epoch, _JOB.seq <= _DEVICE.receipted_seq, outside)
    )


def _lose_unreported(tx: Connection, devices: Sequence[Any]) -> None:
    missing: dict[str, list[int]] = {}
    for name, seq in tx.execute(_unreported_of_these(), {"devices": [device.device for device in devices]}):
        missing.setdefault(name, []).append(seq)
    for device in devices:
        numbers = missing.get(device.device)
        if numbers:
            if device.resend_left:
                numbers += [device.lost_from_seq, device.lost_to_seq]
            lost = {"lost_from_seq": min(numbers), "lost_to_seq": max(numbers)}
            _set(tx, device.device, **lost, resend_left=RESEND_TRIES, resend_sent_at_ms=None)


def _settled_numbers(tx: Connection, device: Any) -> set[int]:
    """The newest lost numbers whose reports are here: no more than a dispenser keeps."""
    first = max(device.lost_from_seq, device.lost_to_seq - KEPT_COMPLETIONS + 1)
    given = {"of_device": device.device, "of_epoch": device.epoch, "first": first, "last": device.lost_to_seq}
    return set(tx.execute(_settled(), given).scalars())


def _lose_open_jobs(tx: Connection, device: Any, now_ms: int) -> None:
    """Some numbers stay unknown: each job that waited when the dispenser was found ahead may have had one of them."""
    sql = statements(tx.dialect.name)
    given = {"of_device": device.device, "until_ms": device.lost_at_ms or now_ms}
    ids = [(job,) for job in sorted(tx.execute(_open_since(), given).scalars())]
    if not ids:
        return
    held = {}
    for row in sql.hold_jobs.run(tx, ids).all():
        held[row[0]] = HeldJob(_never_taken, *row)
    for row in sql.all_items.run(tx, ids).all():
        held[row[0]].items[row[1]] = HeldItem(*row[1:])
    for job in held.values():
        job.lose(UNKNOWN_FATE)
    write(tx, (), held.values(), now_ms)


def _never_taken(_job: HeldJob, _seq: int, _epoch: str) -> bool:
    return False


def _set(tx: Connection, device: str, **values: int | None) -> None:
    tx.execute(_put_device(), {"of_device": device, **values})


@cache
def _promise() -> Update:
    flask = tables.flask.c
    return (
        update(tables.flask)
        .where(flask.device == bindparam("of_device"), flask.flask == bindparam("of_flask"))
        .values(reserved_mg=flask.reserved_mg + bindparam("promised_mg"), revision=flask.revision + 1)
    )


@cache
def _as_held() -> Select[Any]:
    return select(*[_JOB[name] for name in JOB_COLUMNS]).where(_JOB.job == bindparam("of_job"))


@cache
def _take_number() -> Update:
    """If no dispenser accepted the job."""
    offered = update(tables.job).where(
        _JOB.job == bindparam("of_job"), _JOB.state == "offered", _JOB.accepted_at_ms.is_(None)
    )
    return offered.values(seq=None, offer_sent_at_ms=None)


@cache
def _settled() -> Select[int]:
    return select(_JOB.seq).where(
        _JOB.device == bindparam("of_device"),
        _JOB.epoch == bindparam("of_epoch"),
        _JOB.seq.between(bindparam("first"), bindparam("last")),
        _JOB.rank == JOB_SETTLED,
    )


@cache
def _open_since() -> Select[str]:
    return select(_JOB.job).where(
        _JOB.device == bindparam("of_device"), jobs_sql.is_open(), _JOB.placed_at_ms <= bindparam("until_ms")
    )


@cache
def _put_device() -> Update:
    """The columns to set are given with the device."""
    return update(tables.device).where(_DEVICE.device == bindparam("of_device"))
