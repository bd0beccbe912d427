"""What live views have not been told yet."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from sqlalchemy import Connection, Select, bindparam, select, tuple_

from protocol.messages import StockChanged
from services.ledger import tables

# Flasks described by one query; the rest follow in the next round.
MOST = 500

_FLASK = tables.flask.c
_KEY = tuple_(_FLASK.device, _FLASK.flask)


def changed_stock(tx: Connection, told: Mapping[tuple[str, int], int]) -> list[tuple[str, int, StockChanged]]:
    """(device, flask, message) of flasks whose revision is above the one in `told`, at most `MOST` of them."""
    revisions = tx.execute(_revisions())
    changed = [(device, number) for device, number, revision in revisions if told.get((device, number), -1) < revision]
    if not changed:
        return []
    rows = tx.execute(_described(), {"keys": changed[:MOST]})
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


# Asked with every batch: made once, for making them takes longer than their answer.
@cache
def _revisions() -> Select[str, int, int]:
    return select(_FLASK.device, _FLASK.flask, _FLASK.revision)


@cache
def _described() -> Select[Any]:
    columns = (_FLASK.revision, _FLASK.ingredient, _FLASK.stock_mg, _FLASK.reserved_mg)
    wanted = _KEY.in_(bindparam("keys", type_=_KEY.type, expanding=True))
    return select(_FLASK.device, _FLASK.flask, *columns).where(wanted)
