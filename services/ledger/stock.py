"""What an operator does to the stock: refill a flask, count it, say what an item in doubt dispensed."""

from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, Update, and_, bindparam, select, update
from sqlalchemy.sql.dml import ReturningUpdate

from protocol.limits import MAX_COUNT
from protocol.messages import StockChanged
from services.ledger.database import LedgerError
from services.ledger.inserts import insert_all
from services.ledger.jobs import lock_job
from services.ledger.settle_writes import stock_message
from services.ledger.tables import RESOLUTIONS, RESOLVED_RANK, device, flask, flip, job, job_item, stock_movement


class StockRefused(LedgerError):
    """The stock cannot be changed so. The text says why and what to do."""


class UnknownFlask(StockRefused):
    """There is no such flask."""


class BadAmount(StockRefused):
    """The amount cannot be right."""


class NotInDoubt(StockRefused):
    """There is nothing to resolve: no such item, or its end is known, or someone resolved it already."""


class FirstStock(NamedTuple):
    """What is in a flask when its dispenser is claimed."""

    device: str
    flask: int
    ingredient: str
    amount_mg: int


def first_stock(tx: Connection, stocked: Sequence[FirstStock], *, by: str, now_ms: int) -> None:
    """The first refill of new flasks, which nobody else knows of yet. Amounts above 0."""
    if not stocked:
        return
    insert_all(
        tx,
        stock_movement,
        [
            {
                "device": one.device,
                "flask": one.flask,
                "kind": "refill",
                "delta_mg": one.amount_mg,
                "at_ms": now_ms,
                "by": by,
                "note": "first stock",
                "ingredient": one.ingredient,
            }
            for one in stocked
        ],
    )
    moved = [{"of_device": one.device, "of_flask": one.flask, "moved_mg": one.amount_mg} for one in stocked]
    tx.execute(_move_stock(), moved)


def refill(
    tx: Connection, device: str, flask: int, amount_mg: int, *, by: str, now_ms: int, note: str = ""
) -> StockChanged:
    """Add `amount_mg` to the flask. Returns the message that tells so."""
    if not 0 < amount_mg <= MAX_COUNT:
        raise BadAmount(f"a refill of {amount_mg} mg: give an amount from 1 to {MAX_COUNT} mg")
    held = _hold(tx, device, flask)
    _check_total(held.stock_mg + amount_mg)
    return _move(tx, device, flask, "refill", amount_mg, by=by, now_ms=now_ms, note=note, ingredient=held.ingredient)


def count(
    tx: Connection, device: str, flask: int, counted_mg: int, *, by: str, now_ms: int, note: str = ""
) -> StockChanged:
    """The flask was weighed: it holds `counted_mg`. The movement is the difference, zero too, as it was looked at."""
    if not 0 <= counted_mg <= MAX_COUNT:
        raise BadAmount(f"a count of {counted_mg} mg: give an amount from 0 to {MAX_COUNT} mg")
    held = _hold(tx, device, flask)
    delta_mg = counted_mg - held.stock_mg
    return _move(tx, device, flask, "count", delta_mg, by=by, now_ms=now_ms, note=note, ingredient=held.ingredient)


def resolve(
    tx: Connection, job: str, item: int, *, outcome: str, weighed_mg: int | None = None, by: str, now_ms: int
) -> StockChanged:
    """Say what an item in doubt dispensed: `dispensed` (all of it), `not_dispensed`, or `weighed` with the amount."""
    found = _find_in_doubt(tx, job, item)
    amount_mg = _resolved_mg(outcome, weighed_mg, found.target_mg)
    found_as = {"of_job": job, "of_item": item}
    resolved = {"resolution": outcome, "resolved_mg": amount_mg, "resolved_by": by, "resolved_at_ms": now_ms}
    done = tx.execute(_put_resolved(), {**found_as, **resolved})
    if done.rowcount != 1:
        raise NotInDoubt(f"item {item} of job {job} was resolved meanwhile: look at it again")
    insert_all(
        tx,
        flip,
        [
            {
                "job": job,
                "item": item,
                "rank": RESOLVED_RANK,
                "from_state": "in_doubt",
                "to_state": "in_doubt",
                "says": "operator",
                "reason": f"resolved as {outcome}: {amount_mg} mg",
                "at_ms": now_ms,
            }
        ],
    )
    held = _hold(tx, found.device, found.flask)
    if amount_mg == 0:
        return stock_message(held.revision, held.ingredient, held.stock_mg, held.reserved_mg)
    return _move(
        tx, found.device, found.flask, "resolve", -amount_mg, by=by, now_ms=now_ms, note=outcome, job=job, item=item
    )


def _find_in_doubt(tx: Connection, job_id: str, item: int) -> Any:
    """The item, with its dispenser and job held in the order that everyone takes them."""
    lock_job(tx, job_id)
    found = tx.execute(_item_in_doubt(), {"of_job": job_id, "of_item": item}).one_or_none()
    if found is None:
        raise NotInDoubt(f"job {job_id} has no item {item}: check the number")
    if found.state != "in_doubt":
        raise NotInDoubt(f"item {item} of job {job_id} is {found.state}, not in doubt: there is nothing to resolve")
    if found.resolution is not None:
        raise NotInDoubt(f"item {item} of job {job_id} was resolved as {found.resolution} already")
    return found


def _resolved_mg(outcome: str, weighed_mg: int | None, target_mg: int) -> int:
    if outcome not in RESOLUTIONS:
        raise BadAmount(f"{outcome!r} is not an outcome: choose one of {', '.join(RESOLUTIONS)}")
    if outcome != "weighed":
        if weighed_mg is not None:
            raise BadAmount(f"an amount goes with the outcome weighed, not with {outcome}")
        return target_mg if outcome == "dispensed" else 0
    if weighed_mg is None or not 0 <= weighed_mg <= 2 * target_mg:
        raise BadAmount(
            f"weighed {weighed_mg} mg of {target_mg} asked for: give an amount from 0 to {2 * target_mg} mg"
        )
    return weighed_mg


def _hold(tx: Connection, device_id: str, number: int) -> Any:
    found = tx.execute(_held_flask(), {"of_device": device_id, "of_flask": number}).one_or_none()
    if found is None:
        known = tx.execute(select(device.c.device).where(device.c.device == device_id)).scalar()
        what = f"dispenser {device_id} has no flask {number}" if known else f"there is no dispenser {device_id}"
        raise UnknownFlask(f"{what}: check the name and the number")
    return found


def _check_total(stock_mg: int) -> None:
    if stock_mg > MAX_COUNT:
        raise BadAmount(f"the flask would hold {stock_mg} mg, more than any flask does: check the amount")


def _move(
    tx: Connection,
    device_id: str,
    number: int,
    kind: str,
    delta_mg: int,
    *,
    by: str,
    now_ms: int,
    note: str,
    job: str | None = None,
    item: int | None = None,
    ingredient: str | None = None,
) -> StockChanged:
    movement = {
        "device": device_id,
        "flask": number,
        "kind": kind,
        "delta_mg": delta_mg,
        "job": job,
        "item": item,
        "at_ms": now_ms,
        "by": by,
        "note": note,
        "ingredient": ingredient,
    }
    insert_all(tx, stock_movement, [movement])
    moved = {"of_device": device_id, "of_flask": number, "moved_mg": delta_mg}
    return stock_message(*tx.execute(_move_stock_and_tell(), moved).one())


# Each is made once: making it takes longer than running it. `of_…` names the row.


@cache
def _item_in_doubt() -> Select[Any]:
    return (
        select(job.c.device, job_item.c.flask, job_item.c.target_mg, job_item.c.state, job_item.c.resolution)
        .join(job, job.c.job == job_item.c.job)
        .where(job_item.c.job == bindparam("of_job"), job_item.c.item == bindparam("of_item"))
    )


@cache
def _put_resolved() -> Update:
    """If nobody has resolved it. Takes also the columns to set."""
    same = and_(job_item.c.job == bindparam("of_job"), job_item.c.item == bindparam("of_item"))
    return update(job_item).where(same, job_item.c.state == "in_doubt", job_item.c.resolution.is_(None))


@cache
def _held_flask() -> Select[Any]:
    return select(flask).where(_is_named_flask()).with_for_update(key_share=True)


@cache
def _move_stock() -> Update:
    moved = update(flask).where(_is_named_flask())
    return moved.values(stock_mg=flask.c.stock_mg + bindparam("moved_mg"), revision=flask.c.revision + 1)


@cache
def _move_stock_and_tell() -> ReturningUpdate[int, str, int, int]:
    return _move_stock().returning(flask.c.revision, flask.c.ingredient, flask.c.stock_mg, flask.c.reserved_mg)


def _is_named_flask() -> ColumnElement[bool]:
    return and_(flask.c.device == bindparam("of_device"), flask.c.flask == bindparam("of_flask"))
