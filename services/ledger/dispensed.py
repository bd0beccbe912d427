"""What the ledger says left each flask, to be compared with what did."""

from collections import defaultdict
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from services.ledger.tables import job, job_item, stock_movement


@dataclass(frozen=True, slots=True)
class FlaskDispensed:
    """`dispensed_mg` by items and their resolutions; the target of each item that is in doubt and not resolved."""

    device: str
    flask: int
    dispensed_mg: int
    in_doubt_mg: tuple[int, ...]


def dispensed(tx: Connection) -> list[FlaskDispensed]:
    """Every flask that an item moved or may have moved."""
    movement, item = stock_movement.c, job_item.c
    moved = tx.execute(
        select(movement.device, movement.flask, -func.sum(movement.delta_mg))
        .where(movement.job.is_not(None))
        .group_by(movement.device, movement.flask)
    )
    doubtful = tx.execute(
        select(job.c.device, item.flask, item.target_mg)
        .join(job, job.c.job == item.job)
        .where((item.state == "in_doubt") & item.resolution.is_(None))
    )
    in_doubt_mg: defaultdict[tuple[str, int], list[int]] = defaultdict(list)
    for device, flask, target_mg in doubtful:
        in_doubt_mg[device, flask].append(target_mg)
    sums = {(device, flask): int(total) for device, flask, total in moved}
    return [
        FlaskDispensed(device, flask, sums.get((device, flask), 0), tuple(in_doubt_mg.get((device, flask), ())))
        for device, flask in sorted(sums.keys() | in_doubt_mg.keys())
    ]
