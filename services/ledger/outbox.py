"""What dispatch must send now, decided and noted as sent in one transaction.

A command is repeated until the dispenser's own word shows that it arrived, so a message that the broker or the
network loses costs one `work.OFFER_REPEAT_MS` and nothing else. Only dispensers that are online are sent anything.
"""

from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from protocol.fields import Record
from protocol.messages import CancelJob, ConfigureDispenser, FlaskConfig, OfferedItem, OfferJob
from protocol.states import JOB_TRANSITIONS, SERVER
from protocol.topics import CANCEL, CONFIG, OFFER, Channel
from services.ledger import families, jobs, outbox_sql, polling, work
from services.ledger.database import has_row_locks
from services.ledger.tables import WHOLE_JOB

# Dispensers served by one call: their rows are locked until it commits, and ingest waits for them. A call that is full
# is followed by another at once (`due` is to be called until it returns nothing).
DEVICES_PER_CALL = 500

_OFFERED_BECAUSE = next(
    why for old, new, says, why in JOB_TRANSITIONS if (old, new, says) == ("queued", "offered", SERVER)
)


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
    found = tx.execute(work.found(), {"now_ms": now_ms, "most": DEVICES_PER_CALL}).all()
    if not found:
        return []
    devices = sorted({row.device for row in found})
    if has_row_locks(tx):
        tx.execute(outbox_sql.hold_devices(), {"devices": devices})
    kinds = {row.work for row in found}
    if work.SILENT in kinds:
        polling.end_silent(tx, devices, now_ms)
    messages = _orders(tx, devices, now_ms, kinds)
    told = sorted({message.device for message in messages})
    if told:
        tx.execute(outbox_sql.note_told(), {"devices": told})
    return sorted(messages, key=lambda message: message.device)


def orders_of(tx: Connection, device: str, now_ms: int) -> list[Due]:
    """Everything that this dispenser, which asks for itself, must be told now, sent before or not.

    The same rules as `due`, for one dispenser: a configuration, a cancel, an offer.
    """
    jobs.lock_device(tx, device)
    return _orders(tx, [device], now_ms)


def _orders(tx: Connection, devices: Sequence[str], now_ms: int, found: Set[str] | None = None) -> list[Due]:
    """What these dispensers, whose rows are held, must be told.

    `found` is the work that there is for any of them; None: they ask for all there is, also what was sent a moment ago.
    """
    given = {"devices": devices, "now_ms": now_ms}
    asked = found is None
    kinds = set(found or work.KINDS)

    def rows(kind: str, asked: bool = asked) -> Sequence[Any]:
        return tx.execute(work.among(kind, asked), given).all() if kind in kinds else ()

    if overdue := rows(work.EXPIRE, asked=False):
        jobs.end_unstarted(tx, [row.job for row in overdue], "expired", now_ms)
        kinds.add(work.CANCEL_EXPIRED)
    if unnumbered := rows(work.NUMBER):
        _number(tx, _without_outdated(tx, unnumbered, now_ms), now_ms)
        kinds |= {work.CANCEL, work.OFFER}
    cancels = [*rows(work.CANCEL), *rows(work.CANCEL_EXPIRED)]
    return [
        *_configurations(tx, rows(work.CONFIGURE), now_ms),
        *_cancels(tx, cancels, now_ms),
        *_offers(tx, rows(work.OFFER), now_ms),
    ]


def _without_outdated(tx: Connection, rows: Sequence[Any], now_ms: int) -> list[Any]:
    """Without the retries that order more than is left, which end here.

    A restored ledger lets people retry what it does not know to have been dispensed, until the dispenser reports it.
    One that was offered meanwhile was refused, as its number was another job's.
    """
    outdated = {row.job: row.state for row in rows if row.retry_of is not None and _is_outdated(tx, row.job)}
    for state, end in (("queued", "cancelled"), ("offered", "failed")):
        jobs.end_unstarted(tx, [job for job, was in outdated.items() if was == state], end, now_ms)
    return [row for row in rows if row.job not in outdated]


def _is_outdated(tx: Connection, job: str) -> bool:
    for item in families.items(tx, job):
        left_mg = families.left_mg(families.family(tx, [(item["origin_job"], item["origin_item"])]))
        if left_mg is None or left_mg < item["target_mg"]:
            return True
    return False


def _number(tx: Connection, rows: Sequence[Any], now_ms: int) -> None:
    """Give each of these jobs its dispenser's next job number: above every number that was given or seen."""
    before = {row.job: row for row in rows}
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
