"""The table of the calibrations. Append-only: a flask's flow has its history here."""

from sqlalchemy import Index
from sqlmodel import Field

from services.ledger.row import Row, ms


class Calibration(Row, table=True):
    """What a timed opening came to: `weighed_mg` in `open_ms`, as the dispenser measured it. One a job.

    `flow_before_mg_per_s` is 0 when the flask had none.
    """

    __tablename__ = "calibration"
    __table_args__ = (Index("ix_calibration_device_flask_at_ms", "device", "flask", "at_ms"),)
    job: str = Field(primary_key=True)
    device: str
    flask: int
    ingredient: str
    open_ms: int
    weighed_mg: int
    flow_before_mg_per_s: int
    flow_mg_per_s: int
    at_ms: int = ms()
    by: str
