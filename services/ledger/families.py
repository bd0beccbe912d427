"""The items of a job, and their families: an item and every item of a retry that began as it."""

from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, bindparam, func, or_, select, tuple_

from protocol.states import SERVER
from services.ledger import tables

# A row of `job_item` by column name.
ItemRow = RowMapping

_ITEM = tables.job_item.c
_JOB = tables.job.c


def items(tx: Connection, job: str) -> list[ItemRow]:
    """The job's items in order."""
    return list(tx.execute(_items(), {"of_job": job}).mappings())


def family(tx: Connection, origins: Sequence[tuple[str, int]]) -> list[ItemRow]:
    """Those items and every item of a retry that began as one of them, each with its job's
    `job_state`, `job_says` and `job_seq`. A first item's `origin_job` and `origin_item` are its own."""
    return list(tx.execute(_family(), {"origins": list(origins)}).mappings())


def left_mg(family: Sequence[ItemRow]) -> int | None:
    """Milligrams of the first target that no item of the family dispensed; None: nobody knows."""
    left: int = next(row["target_mg"] for row in family if row["job"] == row["origin_job"])
    for row in family:
        if row["state"] == "done" or row["resolution"] == "dispensed":
            return 0
        if _is_unknown(row):
            return None
        left -= _dispensed(row)
    return max(left, 0)


def _is_unknown(row: ItemRow) -> bool:
    if row["state"] == "in_doubt":
        return row["resolution"] is None
    # Its time was up after it was offered: only the dispenser can say whether it took the job.
    return bool(row["job_state"] == "expired" and row["job_says"] == SERVER and row["job_seq"] is not None)


def _dispensed(row: ItemRow) -> int:
    known = row["dispensed_mg"] if row["resolution"] is None else row["resolved_mg"]
    return known or 0


@cache
def _items() -> Select[Any]:
    return select(tables.job_item).where(_ITEM.job == bindparam("of_job")).order_by(_ITEM.item)


@cache
def _family() -> Select[Any]:
    columns = [column for column in _ITEM if column.name not in ("origin_job", "origin_item")]
    itself, origin = tuple_(_ITEM.job, _ITEM.item), tuple_(_ITEM.origin_job, _ITEM.origin_item)
    origins = bindparam("origins", type_=itself.type, expanding=True)
    return (
        select(
            *columns,
            func.coalesce(_ITEM.origin_job, _ITEM.job).label("origin_job"),
            func.coalesce(_ITEM.origin_item, _ITEM.item).label("origin_item"),
            _JOB.state.label("job_state"),
            _JOB.says.label("job_says"),
            _JOB.seq.label("job_seq"),
        )
        .join(tables.job, _JOB.job == _ITEM.job)
        .where(or_(itself.in_(origins), origin.in_(origins)))
        .order_by(_JOB.placed_at_ms, _ITEM.job, _ITEM.item)
    )
