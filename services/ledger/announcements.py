"""What live views have not been told yet."""

from collections.abc import Mapping

from sqlalchemy import Connection, select, tuple_

from protocol.messages import StockChanged
from services.ledger import tables

# Flasks described by one query; the rest follow in the next round.
MOST = 500


def changed_stock(tx: Connection, told: Mapping[tuple[str, int], int]) -> list[tuple[str, int, StockChanged]]:
    """(device, flask, message) of flasks whose revision is above the one in `told`, at most `MOST` of them."""
    flask = tables.flask.c
    revisions = tx.execute(select(flask.device, flask.flask, flask.revision))
    changed = [(device, number) for device, number, revision in revisions if told.get((device, number), -1) < revision]
    if not changed:
        return []
    rows = tx.execute(
        select(flask.device, flask.flask, flask.revision, flask.ingredient, flask.stock_mg, flask.reserved_mg).where(
            tuple_(flask.device, flask.flask).in_(changed[:MOST])
        )
    )
    return [
        (
            row.device,
            row.flask,
            StockChanged(
                revision=row.revision, ingredient=row.ingredient, stock_mg=row.stock_mg, reserved_mg=row.reserved_mg
            ),
        )
        for row in rows
    ]
