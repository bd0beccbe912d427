"""Every table of the ledger. The same definition serves SQLite and PostgreSQL.

Natural keys where there is one, so that a fact that comes twice meets itself. The append-only tables (`stock_movement`,
`flip`) carry no foreign keys: their rows are written from rows that the same transaction holds, at the rate of the
whole fleet, and `audit` proves them. Amounts are integer milligrams, `*_at_ms` Unix milliseconds by the server's clock.
"""

from sqlalchemy import ForeignKeyConstraint, Index, LargeBinary, Table, text
from sqlmodel import Field

from services.ledger.account_tables import Account, IdempotencyKey, SignInLink, WebSession
from services.ledger.calibration_table import Calibration
from services.ledger.recipe_tables import Recipe, RecipeItem
from services.ledger.row import METADATA, ROW_ID, Row, ms

__all__ = ["METADATA", "Account", "Calibration", "IdempotencyKey", "Recipe", "RecipeItem", "SignInLink", "WebSession"]

# Flips of the job itself, beside those of its items from 0 up.
WHOLE_JOB = -1

# The rank under which an operator's resolution of an item is recorded: above every rank that a state has.
RESOLVED_RANK = 9

MOVEMENT_KINDS = ("dispense", "partial", "refill", "count", "resolve")
RESOLUTIONS = ("dispensed", "not_dispensed", "weighed")


class Device(Row, table=True):
    """A claimed dispenser: what it last said of itself, and what is wanted of it.

    (`boot`, `connection`, `online` false, `status_ms`) orders the statuses of one epoch: the highest is the latest.
    """

    __tablename__ = "device"
    device: str = Field(primary_key=True)
    name: str
    claimed_at_ms: int = ms()
    claimed_by: str = ""
    # From its status
    epoch: str | None = None
    boot: int = 0
    connection: int = 0
    status_ms: int = ms(default=0)
    online: bool = False
    firmware: str = ""
    reset_cause: str = ""
    config_version: int = 0
    job: str | None = None
    last_seq: int = 0
    receipted_seq: int = 0
    fault: str | None = None
    stop_ms: int | None = None
    stop_mg: int | None = None
    seen_at_ms: int | None = ms(default=None)
    # The last refused offer, until a job is accepted
    refusal: str | None = None
    # What the server gives it next
    next_seq: int = 1
    desired_config_version: int = 0
    config_sent_at_ms: int | None = ms(default=None)
    # The connection that dispatch last sent something to: what is outstanding is sent again at once to a newer one
    told_boot: int | None = None
    told_connection: int | None = None
    # Job numbers that it used and the ledger does not know, since a backup was restored (`restored`): from, to, the
    # first request for their reports; requests still to be made (above 0, it is offered nothing), and the last one
    lost_from_seq: int | None = None
    lost_to_seq: int | None = None
    lost_at_ms: int | None = ms(default=None)
    resend_left: int = 0
    resend_sent_at_ms: int | None = ms(default=None)
    # Its last request over HTTP, and the (boot, connection) that it named by then: that one has no last will
    polled_at_ms: int | None = ms(default=None)
    polled_boot: int | None = None
    polled_connection: int | None = None
    # From its telemetry
    rssi_dbm: int | None = None
    free_heap_bytes: int | None = None
    uptime_ms: int | None = ms(default=None)
    reconnects: int | None = None
    outage_ms: int | None = ms(default=None)
    flash_writes: int | None = None
    round_trip_ms: int | None = ms(default=None)
    telemetry_at_ms: int | None = ms(default=None)


class DeviceEpoch(Row, table=True):
    """Every epoch a dispenser was ever seen with. One that is not the device's current one never comes back."""

    __tablename__ = "device_epoch"
    __table_args__ = (ForeignKeyConstraint(["device"], ["device.device"]),)
    device: str = Field(primary_key=True)
    epoch: str = Field(primary_key=True)
    first_seen_at_ms: int = ms()


class Flask(Row, table=True):
    """One flask. `stock_mg` and `reserved_mg` are caches that move in the transaction of their cause.

    `revision` rises by one with each item that reserves, each item whose end moves stock or reservation, and each
    refill, count and resolution that moves stock: of two stock messages the higher revision is the later one.
    """

    __tablename__ = "flask"
    __table_args__ = (ForeignKeyConstraint(["device"], ["device.device"]),)
    device: str = Field(primary_key=True)
    flask: int = Field(primary_key=True)
    ingredient: str
    capacity_mg: int = ms()
    stock_mg: int = ms(default=0)
    reserved_mg: int = ms(default=0)
    revision: int = 0
    low_mg: int = ms(default=0)
    flow_mg_per_s: int = 0
    max_open_ms: int = 60_000
    channel: int = 0
    closed_us: int = 1000
    open_us: int = 2000
    settle_ms: int = 0


class Job(Row, table=True):
    """One order for one dispenser. `rank` is `protocol.states.job_rank(state, says)` and only rises.

    `seq` and `epoch` are of the latest offer; null while it was never offered. `recipe` (its name as written),
    `recipe_version` and `recipe_scale_milli` (thousandths; null: made to a total weight) say what it was made from.
    """

    __tablename__ = "job"
    __table_args__ = (
        ForeignKeyConstraint(["device"], ["device.device"]),
        Index("ix_job_device_placed_at_ms_job", "device", "placed_at_ms", "job"),
        Index("ix_job_placed_at_ms_job", "placed_at_ms", "job"),
        # The queue of a dispenser: few rows, whatever the history.
        Index(
            "ix_job_open",
            "device",
            "placed_at_ms",
            "job",
            sqlite_where=text("rank < 3"),
            postgresql_where=text("rank < 3"),
        ),
        # Jobs that ran out of time after they were offered, until the dispenser says whether it took them.
        Index(
            "ix_job_unanswered",
            "device",
            "job",
            sqlite_where=text("state = 'expired' AND says = 'server' AND seq IS NOT NULL"),
            postgresql_where=text("state = 'expired' AND says = 'server' AND seq IS NOT NULL"),
        ),
        # A dispenser's job number is given once.
        Index("uq_job_device_epoch_seq", "device", "epoch", "seq", unique=True),
    )
    job: str = Field(primary_key=True)
    device: str
    state: str = "queued"
    rank: int = 0
    says: str = "server"
    seq: int | None = None
    epoch: str | None = None
    placed_at_ms: int = ms()
    placed_by: str
    expires_at_ms: int | None = ms(default=None)
    offered_at_ms: int | None = ms(default=None)
    offer_sent_at_ms: int | None = ms(default=None)
    accepted_at_ms: int | None = ms(default=None)
    ended_at_ms: int | None = ms(default=None)
    cancel_requested_at_ms: int | None = ms(default=None)
    cancel_requested_by: str | None = None
    cancel_sent_at_ms: int | None = ms(default=None)
    retry_of: str | None = None
    recipe: str | None = None
    recipe_version: int | None = None
    recipe_scale_milli: int | None = None


class JobItem(Row, table=True):
    """One flask of a job. `rank` is `protocol.states.item_rank(state, says)`; below 2 it reserves `target_mg`.

    An item of a retry names the item that it began as (`origin_job`, `origin_item`); null for a first order.
    `ingredient` is what the flask held when it was ordered: what the flask is given later is not what it dispensed.
    `open_ms` is of a calibration's opening: `target_mg` is then the most that may leave.
    """

    __tablename__ = "job_item"
    __table_args__ = (
        ForeignKeyConstraint(["job"], ["job.job"]),
        Index(
            "ix_job_item_in_doubt",
            "job",
            "item",
            sqlite_where=text("state = 'in_doubt' AND resolution IS NULL"),
            postgresql_where=text("state = 'in_doubt' AND resolution IS NULL"),
        ),
        Index(
            "ix_job_item_origin_job_origin_item",
            "origin_job",
            "origin_item",
            sqlite_where=text("origin_job IS NOT NULL"),
            postgresql_where=text("origin_job IS NOT NULL"),
        ),
    )
    job: str = Field(primary_key=True)
    item: int = Field(primary_key=True)
    flask: int
    ingredient: str
    target_mg: int
    open_ms: int | None = None
    state: str = "pending"
    rank: int = 0
    says: str = "server"
    dispensed_mg: int | None = None
    duration_ms: int | None = None
    error: str | None = None
    resolution: str | None = None
    resolved_mg: int | None = None
    resolved_by: str | None = None
    resolved_at_ms: int | None = ms(default=None)
    origin_job: str | None = None
    origin_item: int | None = None


class StockMovement(Row, table=True):
    """Append-only: what went into a flask or left it. At most one for each job item, whatever its kind.

    `by` is null when the dispenser itself did it. `ingredient` is what a refill or a count was of; null with a job,
    whose item knows.
    """

    __tablename__ = "stock_movement"
    __table_args__ = (
        Index("ix_stock_movement_device_flask_id", "device", "flask", "id"),
        Index(
            "uq_stock_movement_job_item",
            "job",
            "item",
            unique=True,
            sqlite_where=text("job IS NOT NULL"),
            postgresql_where=text("job IS NOT NULL"),
        ),
    )
    id: int | None = Field(default=None, primary_key=True, sa_type=ROW_ID)
    device: str
    flask: int
    kind: str
    delta_mg: int = ms()
    job: str | None = None
    item: int | None = None
    at_ms: int = ms()
    by: str | None = None
    note: str = ""
    ingredient: str | None = None


class Flip(Row, table=True):
    """Append-only: a job (`item` is `WHOLE_JOB`) or an item went from one state to another, and why.

    A rank only rises, and a state is reached once at each, so both are part of the key. `from_state` is null for the
    first.
    """

    __tablename__ = "flip"
    job: str = Field(primary_key=True)
    item: int = Field(primary_key=True)
    rank: int = Field(primary_key=True)
    to_state: str = Field(primary_key=True)
    from_state: str | None = None
    says: str
    reason: str
    at_ms: int = ms()


class DeadLetter(Row, table=True):
    """A message that changed nothing, and why. The same content again only counts up `times`."""

    __tablename__ = "dead_letter"
    __table_args__ = (Index("uq_dead_letter_content_sha256", "content_sha256", unique=True),)
    id: int | None = Field(default=None, primary_key=True, sa_type=ROW_ID)
    at_ms: int = ms()
    last_at_ms: int = ms()
    times: int = 1
    topic: str
    reason: str
    detail: str = ""
    payload: bytes = Field(sa_type=LargeBinary)
    size_bytes: int = 0
    content_sha256: str


class Counter(Row, table=True):
    """Named totals that outlive their rows, such as `dead_letters_dropped`."""

    __tablename__ = "counter"
    name: str = Field(primary_key=True)
    value: int = ms(default=0)


device: Table = METADATA.tables["device"]
device_epoch: Table = METADATA.tables["device_epoch"]
flask: Table = METADATA.tables["flask"]
job: Table = METADATA.tables["job"]
job_item: Table = METADATA.tables["job_item"]
stock_movement: Table = METADATA.tables["stock_movement"]
flip: Table = METADATA.tables["flip"]
dead_letter: Table = METADATA.tables["dead_letter"]
counter: Table = METADATA.tables["counter"]
account: Table = METADATA.tables["account"]
sign_in_link: Table = METADATA.tables["sign_in_link"]
web_session: Table = METADATA.tables["web_session"]
idempotency_key: Table = METADATA.tables["idempotency_key"]
recipe: Table = METADATA.tables["recipe"]
recipe_item: Table = METADATA.tables["recipe_item"]
calibration: Table = METADATA.tables["calibration"]
