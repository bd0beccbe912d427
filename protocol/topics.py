"""Topics: build, parse, and the table of what each one carries.

`pitada/v1/<device>/…`, MQTT 3.1.1. Levels use `[A-Za-z0-9_-]` only: some brokers reject dots and spaces.
"""

from protocol import messages
from protocol.fields import BadValue, Record
from protocol.limits import MAX_FLASKS
from protocol.messages import DEVICE_ID

ROOT = "pitada/v1"
DEVICE_ROLE = "device"
INGEST_ROLE = "ingest"
DISPATCH_ROLE = "dispatch"


class BadTopic(ValueError):
    """A topic that is not one of ours."""


class Channel:
    """One row of the topic table: `path` below the device, what it carries, who sends it, how."""

    def __init__(
        self, name: str, path: str, record: "type[Record]", sender: str, qos: int, retained: bool, purpose: str
    ) -> None:
        self.name = name
        self.path = path
        self.record = record
        self.sender = sender
        self.qos = qos
        self.retained = retained
        self.purpose = purpose

    def topic(self, device: str, flask: "int | None" = None) -> str:
        """This channel's topic for one dispenser (and flask, where the path has one)."""
        return f"{ROOT}/{device}/" + self.path.replace("{flask}", str(flask))

    def filter(self, device: str = "+") -> str:
        """The MQTT filter for this channel: of every dispenser, or of one."""
        return f"{ROOT}/{device}/" + self.path.replace("{flask}", "+")


STATUS = Channel(
    "status",
    "status",
    messages.StatusReported,
    DEVICE_ROLE,
    1,
    True,
    "Presence, at every connect and change; with `online` false it is the last will, retained too.",
)
PROGRESS = Channel(
    "progress",
    "flask/{flask}/progress",
    messages.ItemProgressed,
    DEVICE_ROLE,
    1,
    True,
    "The latest state of the item on that flask. A state, not an event: applying it again changes nothing.",
)
ACCEPT = Channel(
    "accept", "job/accept", messages.JobAccepted, DEVICE_ROLE, 1, False, "The job is in flash, or was refused."
)
COMPLETION = Channel(
    "completion",
    "job/completion",
    messages.JobCompleted,
    DEVICE_ROLE,
    1,
    True,
    "The self-contained report of a job, repeated every 30 s and at each connect until receipted.",
)
TELEMETRY = Channel(
    "telemetry", "telemetry", messages.TelemetryReported, DEVICE_ROLE, 0, False, "How the dispenser is doing."
)
OFFER = Channel(
    "offer",
    "job/offer",
    messages.OfferJob,
    DISPATCH_ROLE,
    1,
    False,
    "A job. Sent only while the dispenser is online, never retained; repeated until accepted.",
)
CANCEL = Channel(
    "cancel", "job/cancel", messages.CancelJob, DISPATCH_ROLE, 1, False, "Stop a job. Repeated until it ended."
)
RECEIPT = Channel(
    "receipt",
    "job/receipt",
    messages.CompletionReceived,
    INGEST_ROLE,
    1,
    False,
    "Sent after the commit, for a repeat too.",
)
RESEND = Channel(
    "resend", "job/resend", messages.ResendCompletions, INGEST_ROLE, 1, False, "After a backup was restored."
)
CONFIG = Channel(
    "config", "config", messages.ConfigureDispenser, DISPATCH_ROLE, 1, True, "Flasks, calibration and limits."
)
FIRMWARE = Channel("firmware", "firmware", messages.UpdateFirmware, DISPATCH_ROLE, 1, True, "Firmware to run.")
STOCK = Channel(
    "stock",
    "flask/{flask}/stock",
    messages.StockChanged,
    INGEST_ROLE,
    1,
    True,
    "What the ledger says, after each commit.",
)

CHANNELS = (
    STATUS,
    PROGRESS,
    ACCEPT,
    COMPLETION,
    TELEMETRY,
    OFFER,
    CANCEL,
    RECEIPT,
    RESEND,
    CONFIG,
    FIRMWARE,
    STOCK,
)

_PLAIN = {channel.path: channel for channel in CHANNELS if "{flask}" not in channel.path}
_PER_FLASK = {channel.path.split("/")[2]: channel for channel in CHANNELS if "{flask}" in channel.path}
_FLASKS = {str(flask): flask for flask in range(1, MAX_FLASKS + 1)}


def parse(topic: str) -> "tuple[str, Channel, int | None]":
    """(device, channel, flask or None). Raises `BadTopic` for anything else, naming it."""
    levels = topic.split("/")
    if len(levels) < 4 or levels[0] != "pitada" or levels[1] != "v1":
        raise BadTopic(f"{topic[:80]!r} is not below {ROOT}/<device>/")
    device = levels[2]
    try:
        DEVICE_ID.check(device)
    except BadValue as error:
        raise BadTopic(f"{error}")  # MicroPython has no `from`
    if levels[3] == "flask" and len(levels) == 6 and levels[5] in _PER_FLASK and levels[4] in _FLASKS:
        return device, _PER_FLASK[levels[5]], _FLASKS[levels[4]]
    channel = _PLAIN.get("/".join(levels[3:]))
    if channel is None:
        raise BadTopic(f"{topic[:80]!r} is not a topic of this protocol")
    return device, channel, None
