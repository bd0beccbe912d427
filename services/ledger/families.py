"""The items of a job, and their families: an item and every item of a retry that began as it."""

from collections.abc import Sequence

from sqlalchemy import Connection, RowMapping, func, or_, select, tuple_

from services.ledger import tables

# A row of `job_item` by column name.
ItemRow = RowMapping


def items(tx: Connection, job: str) -> list[ItemRow]:
    """The job's items in order."""
    table = tables.job_item
    return list(tx.execute(select(table).where(table.c.job == job).order_by(table.c.item)).mappings())


def family(tx: Connection, origins: Sequence[tuple[str, int]]) -> list[ItemRow]:
    """Those items and every item of a retry that began as one of them, each with its job's
    `job_state`, `job_says` and `job_seq`. A first item's `origin_job` and `origin_item` are its own."""
    item, job = tables.job_item, tables.job
    keys = list(origins)
    columns = [column for column in item.c if column.name not in ("origin_job", "origin_item")]
    asked = (
        select(
            *columns,
            func.coalesce(item.c.origin_job, item.c.job).label("origin_job"),
            func.coalesce(item.c.origin_item, item.c.item).label("origin_item"),
            job.c.state.label("job_state"),
            job.c.says.label("job_says"),
            job.c.seq.label("job_seq"),
        )
        .join(job, job.c.job == item.c.job)
        .where(
            or_(
                tuple_(item.c.job, item.c.item).in_(keys),
                tuple_(item.c.origin_job, item.c.origin_item).in_(keys),
            )
        )
        .order_by(job.c.placed_at_ms, item.c.job, item.c.item)
    )
    return list(tx.execute(asked).mappings())
