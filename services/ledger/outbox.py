"""What dispatch must send now, decided and noted as sent in one transaction.

A command is repeated until the dispenser's own word shows that it arrived, so a message that the broker or the
network loses costs one `OFFER_REPEAT_MS` and nothing else. Only dispensers that are online are sent anything.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Select,
    String,
    and_,
    bindparam,
    exists,
    or_,
    select,
    true,
    union,
)

from protocol.fields import Record
from protocol.messages import CancelJob, ConfigureDispenser, FlaskConfig, OfferedItem, OfferJob
from protocol.states import JOB_TRANSITIONS, SERVER, item_rank, job_rank
from protocol.topics import CANCEL, CONFIG, OFFER, Channel
from services.ledger import jobs, jobs_sql, outbox_sql, polling, tables
from services.ledger.jobs_sql import constant
from services.ledger.tables import WHOLE_JOB

# The answer to a command takes a round trip of two flash writes (up to 0.2 s each on an ESP32) and one ingest batch,
# well under a second. Two seconds is long enough not to repeat what is being answered, short enough not to be noticed.
OFFER_REPEAT_MS = 2000

# Dispensers served by one call: their rows are locked until it commits, and ingest waits for them. A call that is full
# is followed by another at once (`due` is to be called until it returns nothing).
DEVICES_PER_CALL = 500

_OFFERED_BECAUSE = next(
    why for old, new, says, why in JOB_TRANSITIONS if (old, new, says) == ("queued", "offered", SERVER)
)

# What the statements that look for work are asked with. Each is made once: making it takes longer than its answer.
_NOW_MS = bindparam("now_ms", type_=BigInteger())
_DEVICES = bindparam("devices", type_=String(), expanding=True)

_DEVICE = tables.device.c
_JOB = tables.job.c


@dataclass(frozen=True, slots=True)
class Due:
    """A message to publish now: `channel.topic(device)`, with the channel's QoS and retained flag."""

    device: str
    channel: Channel
    message: Record


def due(tx: Connection, now_ms: int) -> list[Due]:
    """Everything to send now: of each dispenser its configuration, then cancels, then an offer.

    Expires what is due, and offers the oldest queued job to each dispenser that is online, free, without a fault and up
    to date with its configuration: the amounts of an offer hold for the calibration that the server knows. Publish
    after the commit; call again until it returns nothing.
    """
    devices = _lock_devices(tx, now_ms)
    if not devices:
        return []
    polling.end_silent(tx, devices, now_ms)
    messages = _orders(tx, devices, now_ms, asked=False)
    told = sorted({message.device for message in messages})
    if told:
        tx.execute(outbox_sql.note_told(), {"devices": told})
    return sorted(messages, key=lambda message: message.device)


def orders_of(tx: Connection, device: str, now_ms: int) -> list[Due]:
    """Everything that this dispenser, which asks for itself, must be told now, sent before or not.

    The same rules as `due`, for one dispenser: a configuration, a cancel, an offer.
    """
    jobs.lock_device(tx, device)
    return _orders(tx, [device], now_ms, asked=True)


def _orders(tx: Connection, devices: Sequence[str], now_ms: int, asked: bool) -> list[Due]:
    """What these dispensers, whose rows are held, must be told. `asked`: also what was sent a moment ago."""
    given = {"devices": devices, "now_ms": now_ms}
    overdue = [row.job for row in tx.execute(_among(jobs_sql.overdue), given)]
    jobs.end_unstarted(tx, overdue, "expired", now_ms)
    _number(tx, devices, now_ms)
    cancels = [
        *tx.execute(_among(_to_cancel, asked), given),
        *tx.execute(_among(_to_cancel_expired, asked), given),
    ]
    return [
        *_configurations(tx, tx.execute(_among(_to_configure, asked), given).all(), now_ms),
        *_cancels(tx, cancels, now_ms),
        *_offers(tx, tx.execute(_among(_to_offer, asked), given).all(), now_ms),
    ]


@cache
def _found() -> Select[Any]:
    """The dispensers with something to do."""
    found = union(
        jobs_sql.overdue(_NOW_MS).with_only_columns(_JOB.device),
        _to_number(_NOW_MS).with_only_columns(_JOB.device),
        _to_configure(_NOW_MS).with_only_columns(_DEVICE.device),
        _to_cancel(_NOW_MS).with_only_columns(_JOB.device),
        _to_cancel_expired(_NOW_MS).with_only_columns(_JOB.device),
        _to_offer(_NOW_MS).with_only_columns(_JOB.device),
        polling.silent(_NOW_MS),
    ).subquery()
    return select(found.c[0]).order_by(found.c[0]).limit(bindparam("most"))


@cache
def _among(wanted: Callable[[ColumnElement[int] | None], Select[Any]], asked: bool = False) -> Select[Any]:
    """What is wanted, of the given dispensers only."""
    return wanted(None if asked else _NOW_MS).where(_DEVICE.device.in_(_DEVICES))


def _lock_devices(tx: Connection, now_ms: int) -> list[str]:
    """Find the dispensers with something to do, without a lock, then lock those rows in order."""
    devices = list(tx.execute(_found(), {"now_ms": now_ms, "most": DEVICES_PER_CALL}).scalars())
    if devices:
        tx.execute(outbox_sql.hold_devices(), {"devices": devices})
    return devices


def _number(tx: Connection, devices: Sequence[str], now_ms: int) -> None:
    """Give each job that needs one its dispenser's next job number: above every number that was given or seen."""
    before = {row.job: row for row in tx.execute(_among(_to_number), {"devices": devices})}
    if not before:
        return
    jobs.lock_jobs(tx, before)
    numbered = tx.execute(outbox_sql.number_jobs(), {"jobs": list(before), "now_ms": now_ms}).all()
    tx.execute(outbox_sql.use_number(), {"devices": [row.device for row in numbered]})
    first = [row.job for row in numbered if before[row.job].state == "queued"]
    jobs.add_flips(tx, [(job, WHOLE_JOB) for job in sorted(first)], "queued", "offered", now_ms)


def _offers(tx: Connection, rows: Sequence[Any], now_ms: int) -> list[Due]:
    names = [row.job for row in rows]
    if not names:
        return []
    jobs.lock_jobs(tx, names)
    tx.execute(outbox_sql.put_jobs(), {"jobs": names, "offer_sent_at_ms": now_ms})
    items: dict[str, list[OfferedItem]] = {}
    for row in tx.execute(outbox_sql.offered_items(), {"jobs": names}):
        offered = OfferedItem(flask=row.flask, target_mg=row.target_mg, open_ms=row.open_ms)
        items.setdefault(row.job, []).append(offered)
    return [
        Due(row.device, OFFER, OfferJob(job=row.job, seq=row.seq, epoch=row.epoch, items=tuple(items[row.job])))
        for row in rows
    ]


def _cancels(tx: Connection, rows: Sequence[Any], now_ms: int) -> list[Due]:
    if rows:
        names = [row.job for row in rows]
        jobs.lock_jobs(tx, names)
        tx.execute(outbox_sql.put_jobs(), {"jobs": names, "cancel_sent_at_ms": now_ms})
    return [Due(row.device, CANCEL, CancelJob(job=row.job, seq=row.seq, epoch=row.epoch)) for row in rows]


def _configurations(tx: Connection, rows: Sequence[Any], now_ms: int) -> list[Due]:
    names = [row.device for row in rows]
    if not names:
        return []
    tx.execute(outbox_sql.put_devices(), {"devices": names, "config_sent_at_ms": now_ms})
    flasks: dict[str, list[FlaskConfig]] = {name: [] for name in names}
    for row in tx.execute(outbox_sql.configured_flasks(), {"devices": names}).mappings():
        values = {field.name: row[field.name] for field in FlaskConfig.FIELDS}
        flasks[row["device"]].append(FlaskConfig(**values))
    return [
        Due(
            row.device,
            CONFIG,
            ConfigureDispenser(version=row.desired_config_version, flasks=tuple(flasks[row.device])),
        )
        for row in rows
    ]


# Who is due. Each of these is asked twice: without a lock to find the dispensers, and again when they are locked. For
# one that asks for itself `now_ms` is None: what was sent counts as sent long ago.


def _repeat(sent_at_ms: ColumnElement[int | None], now_ms: ColumnElement[int] | None) -> ColumnElement[bool]:
    """Never sent, sent long enough ago, or sent to an earlier connection than the one that the dispenser has now."""
    if now_ms is None:
        return true()
    return or_(
        sent_at_ms.is_(None),
        sent_at_ms <= now_ms - OFFER_REPEAT_MS,
        _DEVICE.told_boot.is_distinct_from(_DEVICE.boot),
        _DEVICE.told_connection.is_distinct_from(_DEVICE.connection),
    )


def _takes_jobs() -> ColumnElement[bool]:
    return and_(
        _DEVICE.online,
        _DEVICE.fault.is_(None),
        _DEVICE.resend_left == 0,
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
    return _of_online(_JOB.job, _JOB.state).where(
        jobs_sql.is_open(),
        or_(
            and_(_JOB.state == constant("queued"), is_free, is_oldest),
            and_(_JOB.state == constant("offered"), _JOB.seq.is_(None), _DEVICE.resend_left == 0),
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
    """Jobs whose time was up after they were offered: the dispenser is told to stop, and so says what it did."""
    return _of_online(_JOB.device, _JOB.job, _JOB.seq, _JOB.epoch).where(
        jobs_sql.is_unanswered(),
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
