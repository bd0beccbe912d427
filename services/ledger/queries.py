"""What the screens, the API and the command line read. `tx` from `Database.read`; each answer is one moment.

Lists come newest first where they can grow without bound, `limit` rows after the one that `before` names.
"""

from collections.abc import Collection, Sequence
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, Select, String, bindparam, func, select, tuple_

from protocol.states import ITEM_STATES, JOB_STATES
from services.ledger import tables
from services.ledger.jobs_sql import constant
from services.ledger.tables import WHOLE_JOB
from services.ledger.views import (
    DeadLetterView,
    DispenserView,
    FlaskView,
    FlipView,
    InDoubtView,
    ItemView,
    JobView,
    MovementView,
)

_device, _flask, _job, _item = tables.device, tables.flask, tables.job, tables.job_item

# Rows of a page when the caller does not say.
PAGE = 50


def dispensers(tx: Connection) -> tuple[DispenserView, ...]:
    """Every dispenser with its flasks, by id."""
    return _dispensers(tx)


def dispenser(tx: Connection, device_id: str) -> DispenserView | None:
    """One dispenser with its flasks; None: never claimed."""
    return next(iter(_dispensers(tx, device_id)), None)


def stock(tx: Connection) -> tuple[FlaskView, ...]:
    """Every flask, by dispenser and number."""
    return _flasks(tx)


def job(tx: Connection, job_id: str) -> JobView | None:
    """One job; None: there is none of that id."""
    return next(iter(_with_items(tx, tx.execute(_one_job(), {"of_job": job_id}).mappings().all())), None)


def jobs(
    tx: Connection,
    device: str | None = None,
    states: Collection[str] | None = None,
    before: str | None = None,
    limit: int = PAGE,
) -> tuple[JobView, ...]:
    """Jobs, the latest placed first; `before`: the id of the last job of the page before."""
    page = select(_job).order_by(_job.c.placed_at_ms.desc(), _job.c.job.desc()).limit(limit)
    if device is not None:
        page = page.where(_job.c.device == device)
    if states is not None:
        page = page.where(_job.c.state.in_(states))
    if before is not None:
        last = _job.alias("last")
        placed = select(last.c.placed_at_ms).where(last.c.job == before).scalar_subquery()
        page = page.where(tuple_(_job.c.placed_at_ms, _job.c.job) < tuple_(placed, before))
    return _with_items(tx, tx.execute(page).mappings().all())


def movements(
    tx: Connection, device: str | None = None, flask: int | None = None, before: int | None = None, limit: int = PAGE
) -> tuple[MovementView, ...]:
    """Stock movements, the latest first; `before`: the id of the last movement of the page before."""
    return tuple(MovementView(**row) for row in tx.execute(_movements(device, flask, before, limit)).mappings())


def flips(tx: Connection, job_id: str) -> tuple[FlipView, ...]:
    """How a job and its items went from state to state, in order."""
    found = tx.execute(
        select(tables.flip)
        .where(tables.flip.c.job == job_id)
        .order_by(tables.flip.c.at_ms, tables.flip.c.item, tables.flip.c.rank)
    ).mappings()
    return tuple(FlipView(**{**row, "item": None if row["item"] == WHOLE_JOB else row["item"]}) for row in found)


def dead_letters(tx: Connection, before: int | None = None, limit: int = PAGE) -> tuple[DeadLetterView, ...]:
    """Messages that changed nothing, the latest first; `before`: the id of the last of the page before."""
    page = select(tables.dead_letter).order_by(tables.dead_letter.c.id.desc()).limit(limit)
    if before is not None:
        page = page.where(tables.dead_letter.c.id < before)
    return tuple(_letter(row) for row in tx.execute(page).mappings())


def dead_letter(tx: Connection, letter_id: int) -> DeadLetterView | None:
    """One dead letter; None: there is none of that number (any more)."""
    found = tx.execute(select(tables.dead_letter).where(tables.dead_letter.c.id == letter_id)).mappings().first()
    return None if found is None else _letter(found)


def in_doubt(tx: Connection) -> tuple[InDoubtView, ...]:
    """Items of which nobody knows what they dispensed, the longest waiting first."""
    waiting = (
        select(
            *(_item.c.job, _item.c.item, _job.c.device, _item.c.flask, _item.c.ingredient),
            *(_item.c.target_mg, _job.c.ended_at_ms),
        )
        .join(_job, _job.c.job == _item.c.job)
        .where(_item.c.state == constant("in_doubt"), _item.c.resolution.is_(None))
        .order_by(_job.c.placed_at_ms, _item.c.job, _item.c.item)
    )
    return tuple(InDoubtView(**row) for row in tx.execute(waiting).mappings())


def job_counts(tx: Connection) -> dict[str, int]:
    """How many jobs are in each state; every state is there."""
    return _counts(tx, _job.c.state, JOB_STATES)


def item_counts(tx: Connection) -> dict[str, int]:
    """How many items are in each state; every state is there."""
    return _counts(tx, _item.c.state, ITEM_STATES)


def total(tx: Connection, name: str) -> int:
    """A named total, such as `dead_letters.DROPPED`; 0 when it was never counted."""
    return tx.execute(select(tables.counter.c.value).where(tables.counter.c.name == name)).scalar() or 0


def _letter(row: RowMapping) -> DeadLetterView:
    return DeadLetterView(**{**row, "payload": row["payload"].decode(errors="replace")})


def _counts(tx: Connection, state: ColumnElement[str], states: Sequence[str]) -> dict[str, int]:
    found = {name: count for name, count in tx.execute(select(state, func.count()).group_by(state))}  # noqa: C416  # rows are no pairs to mypy
    return {name: found.get(name, 0) for name in states}


def _dispensers(tx: Connection, device_id: str | None = None) -> tuple[DispenserView, ...]:
    wanted = select(_device).order_by(_device.c.device)
    if device_id is not None:
        wanted = wanted.where(_device.c.device == device_id)
    flasks: dict[str, list[FlaskView]] = {}
    for view in _flasks(tx, device_id):
        flasks.setdefault(view.device, []).append(view)
    return tuple(
        DispenserView(**row, flasks=tuple(flasks.get(row["device"], ()))) for row in tx.execute(wanted).mappings()
    )


def _flasks(tx: Connection, device_id: str | None = None) -> tuple[FlaskView, ...]:
    wanted = select(_flask).order_by(_flask.c.device, _flask.c.flask)
    if device_id is not None:
        wanted = wanted.where(_flask.c.device == device_id)
    return tuple(
        FlaskView(**row, available_mg=row["stock_mg"] - row["reserved_mg"], needs_count=row["stock_mg"] < 0)
        for row in tx.execute(wanted).mappings()
    )


# Asked with every order: made once, for making them takes longer than their answer.
@cache
def _one_job() -> Select[Any]:
    return select(_job).where(_job.c.job == bindparam("of_job"))


@cache
def _items() -> Select[Any]:
    of_these = _item.c.job.in_(bindparam("jobs", type_=String(), expanding=True))
    return select(_item).where(of_these).order_by(_item.c.job, _item.c.item)


def _with_items(tx: Connection, found: Sequence[RowMapping]) -> tuple[JobView, ...]:
    items: dict[str, list[ItemView]] = {}
    for row in tx.execute(_items(), {"jobs": [row["job"] for row in found]}).mappings():
        items.setdefault(row["job"], []).append(ItemView(**row))
    return tuple(JobView(**row, items=tuple(items.get(row["job"], ()))) for row in found)


def _movements(device_id: str | None, number: int | None, before: int | None, limit: int) -> Select[Any]:
    moved = tables.stock_movement.c
    ingredient = func.coalesce(_item.c.ingredient, moved.ingredient, "").label("ingredient")
    page = (
        select(
            *(moved.id, moved.device, moved.flask, ingredient, moved.kind, moved.delta_mg, moved.job),
            *(moved.item, moved.at_ms, func.coalesce(moved.by, moved.device).label("by"), moved.note),
        )
        .outerjoin(_item, (_item.c.job == moved.job) & (_item.c.item == moved.item))
        .order_by(moved.id.desc())
        .limit(limit)
    )
    if device_id is not None:
        page = page.where(moved.device == device_id)
    if number is not None:
        page = page.where(moved.flask == number)
    if before is not None:
        page = page.where(moved.id < before)
    return page
