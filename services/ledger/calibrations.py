"""What the ledger keeps of calibrations."""

from typing import Any

from sqlalchemy import Connection, insert, select

from services.ledger import tables
from services.ledger.views import CalibrationView

# Shown of one flask: years, at one a month.
_SHOWN = 100


def add(tx: Connection, **values: Any) -> CalibrationView:
    """Keep a calibration; `values` are the columns of its table."""
    tx.execute(insert(tables.calibration).values(**values))
    return CalibrationView(**values)


def history(tx: Connection, device: str, flask: int) -> tuple[CalibrationView, ...]:
    """The flask's calibrations, the latest first."""
    table = tables.calibration
    of_flask = select(table).where(table.c.device == device, table.c.flask == flask)
    found = tx.execute(of_flask.order_by(table.c.at_ms.desc(), table.c.job.desc()).limit(_SHOWN)).mappings()
    return tuple(CalibrationView(**row) for row in found)
