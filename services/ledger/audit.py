"""Proves that the ledger is whole: every cache equals its sum, every fact has its row, no number was given twice."""

from dataclasses import dataclass

from sqlalchemy import Connection, Select, case, func, or_, select, text

from services.ledger.held import ITEM_ENDED
from services.ledger.tables import flask, job, job_item, stock_movement

# Problems told in words; the count of divergences is complete.
PROBLEMS_TOLD = 100

# What one join of an audit may take on PostgreSQL: a million items fit, where the usual 4 MB go through files.
WORK_MEM = "64MB"


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
    in_doubt = (job_item.c.state == "in_doubt") & job_item.c.resolution.is_(None)
    return Audit(
        movements=_count(tx, select(func.count()).select_from(stock_movement)),
        flasks=_count(tx, select(func.count()).select_from(flask)),
        items_done=_count(tx, select(func.count()).select_from(job_item).where(job_item.c.state == "done")),
        divergences=len(problems),
        problems=problems[:PROBLEMS_TOLD],
        in_doubt=_count(tx, select(func.count()).select_from(job_item).where(in_doubt)),
    )


def _count(tx: Connection, query: Select[int]) -> int:
    return tx.execute(query).scalar_one()


def _stock(tx: Connection) -> list[str]:
    """Each flask's stock is the sum of its movements, and every movement is of a flask that is there."""
    moved = (
        select(stock_movement.c.device, stock_movement.c.flask, func.sum(stock_movement.c.delta_mg).label("sum_mg"))
        .group_by(stock_movement.c.device, stock_movement.c.flask)
        .subquery()
    )
    same = (flask.c.device == moved.c.device) & (flask.c.flask == moved.c.flask)
    sum_mg = func.coalesce(moved.c.sum_mg, 0)
    wrong = select(flask.c.device, flask.c.flask, flask.c.stock_mg, sum_mg).outerjoin(moved, same)
    lost = select(moved.c.device, moved.c.flask).outerjoin(flask, same).where(flask.c.device.is_(None))
    return [
        f"flask {number} of {device} says {stock_mg} mg, its movements sum to {total} mg"
        for device, number, stock_mg, total in tx.execute(wrong.where(flask.c.stock_mg != sum_mg))
    ] + [f"movements of flask {number} of {device}, which is not there" for device, number in tx.execute(lost)]


def _reservations(tx: Connection) -> list[str]:
    """Each flask reserves exactly what the items that have not ended ask for."""
    open_items = (
        select(job.c.device, job_item.c.flask, func.sum(job_item.c.target_mg).label("sum_mg"))
        .join(job, job.c.job == job_item.c.job)
        .where(job_item.c.rank < ITEM_ENDED)
        .group_by(job.c.device, job_item.c.flask)
        .subquery()
    )
    same = (flask.c.device == open_items.c.device) & (flask.c.flask == open_items.c.flask)
    sum_mg = func.coalesce(open_items.c.sum_mg, 0)
    wrong = select(flask.c.device, flask.c.flask, flask.c.reserved_mg, sum_mg).outerjoin(open_items, same)
    return [
        f"flask {number} of {device} reserves {reserved_mg} mg, its open items ask for {total} mg"
        for device, number, reserved_mg, total in tx.execute(wrong.where(flask.c.reserved_mg != sum_mg))
    ]


def _movements(tx: Connection) -> list[str]:
    """What left by an item is one movement of that amount; an item that dispensed nothing has none."""
    # An item has at most one movement, by a unique index: so they are joined as they are, without a grouping.
    moved = stock_movement
    same = (job_item.c.job == moved.c.job) & (job_item.c.item == moved.c.item)
    amount_mg = case(
        (job_item.c.resolution.is_not(None), job_item.c.resolved_mg),
        (job_item.c.state.in_(("done", "failed")), job_item.c.dispensed_mg),
        else_=0,
    )
    rows = case((moved.c.job.is_(None), 0), else_=1)
    sum_mg = func.coalesce(moved.c.delta_mg, 0)
    missing = (job_item.c.state == "done") & job_item.c.resolution.is_(None) & moved.c.job.is_(None)
    wrong = (
        select(job_item.c.job, job_item.c.item, job_item.c.state, amount_mg, rows, sum_mg)
        .outerjoin(moved, same)
        .where(or_(missing, sum_mg != -amount_mg))
    )
    lost = (
        select(moved.c.job, moved.c.item)
        .outerjoin(job_item, same)
        .where(moved.c.job.is_not(None), job_item.c.job.is_(None))
    )
    return [
        f"item {item} of job {job_id} is {state} with {amount} mg, but has {count} movements of {total} mg"
        for job_id, item, state, amount, count, total in tx.execute(wrong)
    ] + [f"a movement of item {item} of job {job_id}, which is not there" for job_id, item in tx.execute(lost)]


def _numbers(tx: Connection) -> list[str]:
    """No dispenser was given a job number twice."""
    twice = (
        select(job.c.device, job.c.epoch, job.c.seq, func.count())
        .where(job.c.seq.is_not(None))
        .group_by(job.c.device, job.c.epoch, job.c.seq)
        .having(func.count() > 1)
    )
    return [
        f"{device} was given job number {seq} {count} times in its flash store {epoch}"
        for device, epoch, seq, count in tx.execute(twice)
    ]
