"""Proves that the ledger is whole: every cache equals its sum, every fact has its row, no number was given twice."""

from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, Subquery, Table, and_, case, func, or_, select, text

from services.ledger.held import ITEM_ENDED
from services.ledger.jobs_sql import constant
from services.ledger.tables import flask, job, job_item, stock_movement

# Problems told in words; the count of divergences is complete.
PROBLEMS_TOLD = 100

# What one join of an audit may take on PostgreSQL: a million items fit, where the usual 4 MB go through files.
WORK_MEM = "64MB"

# An item has at most one movement, by a unique index: so they are joined as they are, without a grouping.
_IS_OF_ITEM = and_(job_item.c.job == stock_movement.c.job, job_item.c.item == stock_movement.c.item)


@dataclass(frozen=True, slots=True)
class Audit:
    """What was looked at and what was wrong. `divergences` is 0 when the ledger is whole.

    in_doubt: items that wait for an operator. They are no divergence: nobody guessed.
    """

    movements: int
    flasks: int
    items_done: int
    divergences: int
    problems: list[str]
    in_doubt: int


def audit(tx: Connection) -> Audit:
    """Check every flask, item and job number; `tx` from `Database.read`. A few set-based queries, whatever the size."""
    if tx.dialect.name == "postgresql":
        tx.execute(text(f"SET LOCAL work_mem = '{WORK_MEM}'"))
    problems = [*_stock(tx), *_reservations(tx), *_movements(tx), *_numbers(tx)]
    return Audit(
        movements=_count(tx, stock_movement),
        flasks=_count(tx, flask),
        items_done=tx.execute(_items_done()).scalar_one(),
        divergences=len(problems),
        problems=problems[:PROBLEMS_TOLD],
        in_doubt=tx.execute(_in_doubt()).scalar_one(),
    )


def _stock(tx: Connection) -> list[str]:
    """Each flask's stock is the sum of its movements, and every movement is of a flask that is there."""
    return [
        f"flask {number} of {device} says {stock_mg} mg, its movements sum to {total} mg"
        for device, number, stock_mg, total in tx.execute(_wrong_stock())
    ] + [
        f"movements of flask {number} of {device}, which is not there"
        for device, number in tx.execute(_movements_without_flask())
    ]


def _reservations(tx: Connection) -> list[str]:
    """Each flask reserves exactly what the items that have not ended ask for."""
    return [
        f"flask {number} of {device} reserves {reserved_mg} mg, its open items ask for {total} mg"
        for device, number, reserved_mg, total in tx.execute(_wrong_reservations())
    ]


def _movements(tx: Connection) -> list[str]:
    """What left by an item is one movement of that amount; an item that dispensed nothing has none."""
    return [
        f"item {item} of job {job_id} is {state} with {amount} mg, but has {count} movements of {total} mg"
        for job_id, item, state, amount, count, total in tx.execute(_wrong_movements())
    ] + [
        f"a movement of item {item} of job {job_id}, which is not there"
        for job_id, item in tx.execute(_movements_without_item())
    ]


def _numbers(tx: Connection) -> list[str]:
    """No dispenser was given a job number twice."""
    return [
        f"{device} was given job number {seq} {count} times in its flash store {epoch}"
        for device, epoch, seq, count in tx.execute(_numbers_given_twice())
    ]


def _count(tx: Connection, table: Table) -> int:
    return tx.execute(_rows(table)).scalar_one()


# Each is made once: making it takes longer than running it on a small ledger.


@cache
def _rows(table: Table) -> Select[int]:
    return select(func.count()).select_from(table)


@cache
def _items_done() -> Select[int]:
    return _rows(job_item).where(job_item.c.state == constant("done"))


@cache
def _in_doubt() -> Select[int]:
    return _rows(job_item).where((job_item.c.state == constant("in_doubt")) & job_item.c.resolution.is_(None))


@cache
def _wrong_stock() -> Select[Any]:
    moved = _moved()
    sum_mg = func.coalesce(moved.c.sum_mg, 0)
    flasks = select(flask.c.device, flask.c.flask, flask.c.stock_mg, sum_mg).outerjoin(moved, _is_of_flask(moved))
    return flasks.where(flask.c.stock_mg != sum_mg)


@cache
def _movements_without_flask() -> Select[Any]:
    moved = _moved()
    return select(moved.c.device, moved.c.flask).outerjoin(flask, _is_of_flask(moved)).where(flask.c.device.is_(None))


def _moved() -> Subquery:
    """The sum of each flask's movements."""
    sum_mg = func.sum(stock_movement.c.delta_mg).label("sum_mg")
    return (
        select(stock_movement.c.device, stock_movement.c.flask, sum_mg)
        .group_by(stock_movement.c.device, stock_movement.c.flask)
        .subquery()
    )


@cache
def _wrong_reservations() -> Select[Any]:
    open_items = (
        select(job.c.device, job_item.c.flask, func.sum(job_item.c.target_mg).label("sum_mg"))
        .join(job, job.c.job == job_item.c.job)
        .where(job_item.c.rank < ITEM_ENDED)
        .group_by(job.c.device, job_item.c.flask)
        .subquery()
    )
    sum_mg = func.coalesce(open_items.c.sum_mg, 0)
    flasks = select(flask.c.device, flask.c.flask, flask.c.reserved_mg, sum_mg)
    return flasks.outerjoin(open_items, _is_of_flask(open_items)).where(flask.c.reserved_mg != sum_mg)


def _is_of_flask(sums: Subquery) -> ColumnElement[bool]:
    return and_(flask.c.device == sums.c.device, flask.c.flask == sums.c.flask)


@cache
def _wrong_movements() -> Select[Any]:
    moved = stock_movement.c
    amount_mg = case(
        (job_item.c.resolution.is_not(None), job_item.c.resolved_mg),
        (job_item.c.state.in_(("done", "failed")), job_item.c.dispensed_mg),
        else_=0,
    )
    rows = case((moved.job.is_(None), 0), else_=1)
    sum_mg = func.coalesce(moved.delta_mg, 0)
    missing = (job_item.c.state == constant("done")) & job_item.c.resolution.is_(None) & moved.job.is_(None)
    return (
        select(job_item.c.job, job_item.c.item, job_item.c.state, amount_mg, rows, sum_mg)
        .outerjoin(stock_movement, _IS_OF_ITEM)
        .where(or_(missing, sum_mg != -amount_mg))
    )


@cache
def _movements_without_item() -> Select[Any]:
    moved = stock_movement.c
    return (
        select(moved.job, moved.item)
        .outerjoin(job_item, _IS_OF_ITEM)
        .where(moved.job.is_not(None), job_item.c.job.is_(None))
    )


@cache
def _numbers_given_twice() -> Select[Any]:
    return (
        select(job.c.device, job.c.epoch, job.c.seq, func.count())
        .where(job.c.seq.is_not(None))
        .group_by(job.c.device, job.c.epoch, job.c.seq)
        .having(func.count() > 1)
    )
