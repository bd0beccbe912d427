"""Every message, as a table of fields. Facts are in the past tense, orders in the imperative.

Amounts are integer milligrams, durations integer milliseconds. `ms` counts from the dispenser's boot and is never
wall time: order is (epoch, boot, ms).
"""

from protocol import shared
from protocol.errors import REFUSALS
from protocol.fields import (
    DEVICE_CHARS,
    HEX_CHARS,
    ID_CHARS,
    VERSION_CHARS,
    BadValue,
    Choice,
    Flag,
    Int,
    Record,
    Records,
    Text,
    table,
)
from protocol.limits import MAX_COUNT, MAX_FLASKS, MAX_ITEMS, MAX_MS, MAX_OPEN_MS
from protocol.states import COMPLETION_STATES, ITEM_ENDS, ITEM_STATES, job_outcome

DEVICE_ID = Text("device", 3, 32, DEVICE_CHARS, "the dispenser: MQTT user name, client id and topic level")
RESET_CAUSES = ("power_on", "reset", "watchdog", "brownout", "deep_sleep", "soft", "unknown")


class OfferedItem(Record):
    """One flask of an offer."""

    flask: int
    target_mg: int
    FIELDS = table(shared.FLASK, shared.TARGET)


class ItemReport(Record):
    """What became of one item."""

    item: int
    flask: int
    state: str
    target_mg: int
    dispensed_mg: "int | None"
    duration_ms: "int | None"
    error: "str | None"
    FIELDS = table(
        shared.ITEM,
        shared.FLASK,
        Choice("state", ITEM_ENDS, "how the item ended"),
        shared.TARGET,
        shared.DISPENSED,
        shared.DURATION,
        shared.ITEM_ERROR,
    )

    def check(self) -> None:
        _check_amount(self.state, self.dispensed_mg)


class FlaskConfig(Record):
    """How to drive one flask."""

    flask: int
    flow_mg_per_s: int
    max_open_ms: int
    channel: int
    closed_us: int
    open_us: int
    settle_ms: int
    FIELDS = table(
        shared.FLASK,
        Int("flow_mg_per_s", 0, 1_000_000, "calibrated flow; 0: not calibrated", "mg/s"),
        Int("max_open_ms", 1, MAX_OPEN_MS, "longest single opening", "ms"),
        Int("channel", 0, 15, "servo driver channel"),
        Int("closed_us", 500, 2500, "servo pulse when closed", "us"),
        Int("open_us", 500, 2500, "servo pulse when open", "us"),
        Int("settle_ms", 0, 10_000, "pause after closing before the next flask opens", "ms"),
    )


class StatusReported(Record):
    """The dispenser's presence. Its last will is the same message with `online` false.

    Of two, the one with the higher (boot, connection) is newer; for the same connection the last will is the last word.
    A dispenser that sees itself offline reports again with the next connection number.
    """

    online: bool
    epoch: str
    boot: int
    connection: int
    ms: int
    firmware: str
    reset_cause: str
    config_version: int
    job: "str | None"
    last_seq: int
    receipted_seq: int
    fault: "str | None"
    FIELDS = table(
        Flag("online", "false only in the last will"),
        shared.EPOCH,
        shared.BOOT,
        Int("connection", 1, MAX_COUNT, "connection number since boot"),
        shared.MS,
        Text("firmware", 1, 32, VERSION_CHARS, "firmware version"),
        Choice("reset_cause", RESET_CAUSES, "why it booted"),
        Int("config_version", 0, MAX_COUNT, "version of the configuration in flash; 0: none yet"),
        Text("job", 1, 32, ID_CHARS, "job in hand", null=True),
        Int("last_seq", 0, MAX_COUNT, "highest job number accepted"),
        Int("receipted_seq", 0, MAX_COUNT, "highest job number up to which every completion was receipted"),
        Choice("fault", ("flash_full", "name_taken", "servo_fault"), "why it takes no jobs", null=True),
    )


class ItemProgressed(Record):
    """The latest state of the item on a flask. The flask is in the topic."""

    job: str
    seq: int
    item: int
    state: str
    target_mg: int
    dispensed_mg: "int | None"
    duration_ms: "int | None"
    error: "str | None"
    epoch: str
    boot: int
    ms: int
    FIELDS = table(
        shared.JOB,
        shared.SEQ,
        shared.ITEM,
        Choice("state", ITEM_STATES, "state of the item"),
        shared.TARGET,
        shared.DISPENSED,
        shared.DURATION,
        shared.ITEM_ERROR,
        shared.EPOCH,
        shared.BOOT,
        shared.MS,
    )

    def check(self) -> None:
        _check_amount(self.state, self.dispensed_mg)


class JobAccepted(Record):
    """The job is in the dispenser's flash; or it was refused, and `refusal` says why."""

    job: str
    seq: int
    refusal: "str | None"
    epoch: str
    boot: int
    ms: int
    FIELDS = table(
        shared.JOB,
        shared.SEQ,
        Choice("refusal", tuple(sorted(REFUSALS)), "null: accepted", null=True),
        shared.EPOCH,
        shared.BOOT,
        shared.MS,
    )


class JobCompleted(Record):
    """The last word on a job: every item, and so its execution log. Repeated until receipted.

    `state` follows from the items; no items at all means that it was cancelled before the dispenser had it.
    """

    job: str
    seq: int
    state: str
    items: "tuple[ItemReport, ...]"
    epoch: str
    boot: int
    ms: int
    FIELDS = table(
        shared.JOB,
        shared.SEQ,
        Choice("state", COMPLETION_STATES, "how the job ended"),
        Records("items", ItemReport, 0, MAX_ITEMS, "every item, in order"),
        shared.EPOCH,
        shared.BOOT,
        shared.MS,
    )

    def check(self) -> None:
        for position, report in enumerate(self.items):
            if report.item != position:
                raise BadValue(f"items[{position}] says it is item {report.item}")
        expected = job_outcome([report.state for report in self.items])
        if self.state != expected:
            raise BadValue(f"state is {self.state}, but the items say {expected}")


class TelemetryReported(Record):
    """How the dispenser is doing."""

    rssi_dbm: int
    free_heap_bytes: int
    uptime_ms: int
    reconnects: int
    outage_ms: int
    flash_writes: int
    round_trip_ms: "int | None"
    FIELDS = table(
        Int("rssi_dbm", -127, 0, "Wi-Fi signal", "dBm"),
        Int("free_heap_bytes", 0, MAX_COUNT, "free heap", "B"),
        Int("uptime_ms", 0, MAX_MS, "time since boot", "ms"),
        Int("reconnects", 0, MAX_COUNT, "connections made since boot, less the first"),
        Int("outage_ms", 0, MAX_MS, "time without a broker since boot", "ms"),
        Int("flash_writes", 0, MAX_COUNT, "flash writes since boot"),
        Int("round_trip_ms", 0, MAX_MS, "last publish to its acknowledgement", "ms", null=True),
    )


class OfferJob(Record):
    """Run this job. Sent to an online dispenser, repeated until accepted."""

    job: str
    seq: int
    epoch: str
    items: "tuple[OfferedItem, ...]"
    FIELDS = table(shared.JOB, shared.SEQ, shared.EPOCH, Records("items", OfferedItem, 1, MAX_ITEMS, "flasks in order"))


class CancelJob(Record):
    """Stop this job: close the open flask, skip the rest, report. Repeated until the completion arrives."""

    job: str
    seq: int
    epoch: str
    FIELDS = table(shared.JOB, shared.SEQ, shared.EPOCH)


class CompletionReceived(Record):
    """The completion is committed. Sent for a repeat too; only then may the dispenser stop repeating it."""

    job: str
    seq: int
    epoch: str
    FIELDS = table(shared.JOB, shared.SEQ, shared.EPOCH)


class ResendCompletions(Record):
    """Send again every completion in flash from this number on: the server lost some."""

    from_seq: int
    FIELDS = table(Int("from_seq", 1, MAX_COUNT, "first job number to send again"))


class ConfigureDispenser(Record):
    """The dispenser's flasks. A version that is not newer than the one in flash is ignored."""

    version: int
    flasks: "tuple[FlaskConfig, ...]"
    FIELDS = table(
        Int("version", 1, MAX_COUNT, "rises with every change"),
        Records("flasks", FlaskConfig, 0, MAX_FLASKS, "every flask it has"),
    )


class UpdateFirmware(Record):
    """The firmware the dispenser should run."""

    version: str
    size_bytes: int
    sha256: str
    signature: str
    FIELDS = table(
        Text("version", 1, 32, VERSION_CHARS, "firmware version"),
        Int("size_bytes", 1, 4_000_000, "image size", "B"),
        Text("sha256", 64, 64, HEX_CHARS, "SHA-256 of the image"),
        Text("signature", 1, 256, HEX_CHARS, "signature over the SHA-256"),
    )


class StockChanged(Record):
    """What the ledger says a flask holds. `revision` rises with every movement: the highest is the latest."""

    revision: int
    ingredient: str
    stock_mg: int
    reserved_mg: int
    FIELDS = table(
        Int("revision", 0, MAX_COUNT, "movements so far"),
        Text("ingredient", 1, 80, "", "what is in the flask"),
        Int("stock_mg", -MAX_COUNT, MAX_COUNT, "ledger stock; below zero asks for a count", "mg"),
        Int("reserved_mg", 0, MAX_COUNT, "promised to queued and running jobs", "mg"),
    )


def _check_amount(state: str, dispensed_mg: "int | None") -> None:
    known = state in ("done", "failed")
    if known and dispensed_mg is None:
        raise BadValue(f"dispensed_mg is null, but a {state} item knows its amount")
    if not known and dispensed_mg is not None and not (state == "skipped" and dispensed_mg == 0):
        raise BadValue(f"dispensed_mg is {dispensed_mg}, but a {state} item has no amount")
