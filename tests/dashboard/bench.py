"""A clock that tests move, a ledger in memory behind the feed's own interface, and messages as dispensers send them."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from dashboard.channel import Viewer
from dashboard.ledger_reads import Fleet
from protocol import topics
from protocol.codec import encode
from protocol.messages import (
    CompletionReceived,
    ItemProgressed,
    ItemReport,
    JobAccepted,
    JobCompleted,
    OfferedItem,
    OfferJob,
    StatusReported,
    StockChanged,
    TelemetryReported,
)
from protocol.states import job_outcome
from services.ledger.views import DispenserView, FlaskView, ItemView, JobView

EPOCH = "aabbccdd"
START_MS = 1_760_000_000_000


class Clock:
    """Virtual time: `sleep` ends when `advance` has passed it."""

    def __init__(self) -> None:
        self.at_ms = START_MS
        self._sleepers: list[tuple[int, asyncio.Future[None]]] = []

    def now_ms(self) -> int:
        return self.at_ms

    async def sleep(self, seconds: float) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleepers.append((self.at_ms + round(seconds * 1000), future))
        await future

    async def advance(self, ms: int) -> None:
        """Pass the time, waking each sleeper in its turn and letting everybody run."""
        end = self.at_ms + ms
        await settle_loop()
        while due := [entry for entry in self._sleepers if entry[0] <= end and not entry[1].done()]:
            at, future = min(due, key=lambda entry: entry[0])
            self.at_ms = at
            self._sleepers.remove((at, future))
            future.set_result(None)
            await settle_loop()
        self.at_ms = end


async def settle_loop() -> None:
    """Let every task run until it waits for something."""
    for _ in range(50):
        await asyncio.sleep(0)


@dataclass
class MemoryLedger:
    """The ledger as the feed reads it."""

    dispensers: dict[str, DispenserView] = field(default_factory=dict)
    jobs: dict[str, JobView] = field(default_factory=dict)
    fails: bool = False
    reads: int = 0
    takes: Callable[[], Awaitable[None]] | None = None

    async def fleet(self) -> Fleet:
        await self._read()
        return Fleet(tuple(self.dispensers.values()), tuple(self.jobs.values()))

    async def job(self, job: str) -> JobView | None:
        await self._read()
        return self.jobs.get(job)

    async def _read(self) -> None:
        self.reads += 1
        if self.takes is not None:
            await self.takes()
        if self.fails:
            raise OSError("the disk is gone")


def flask_view(device: str = "line-1", flask: int = 1, **values: Any) -> FlaskView:
    known: dict[str, Any] = {
        "device": device, "flask": flask, "ingredient": f"spice {flask}", "capacity_mg": 100_000, "stock_mg": 50_000,
        "reserved_mg": 0, "available_mg": 50_000, "low_mg": 10_000, "revision": 1, "flow_mg_per_s": 2_000,
        "max_open_ms": 60_000, "needs_count": False,
    }  # fmt: skip  # one line a field hides the point
    return FlaskView(**{**known, **values})


def dispenser_view(device: str = "line-1", **values: Any) -> DispenserView:
    known: dict[str, Any] = {
        "device": device, "name": device.title(), "online": True, "fault": None, "refusal": None, "job": None,
        "firmware": "1.0.0", "epoch": EPOCH, "boot": 3, "connection": 2, "config_version": 1,
        "desired_config_version": 1, "seen_at_ms": START_MS - 5_000, "rssi_dbm": None,
        "flasks": (flask_view(device, 1), flask_view(device, 2)),
    }  # fmt: skip  # as above
    return DispenserView(**{**known, **values})


def job_view(
    job: str = "job-1", device: str = "line-1", targets: tuple[int, ...] = (5_000, 2_000), **values: Any
) -> JobView:
    items = tuple(item_view(n, target_mg=target) for n, target in enumerate(targets))
    known: dict[str, Any] = {
        "job": job, "device": device, "state": "queued", "seq": None, "placed_at_ms": START_MS, "placed_by": "ana",
        "expires_at_ms": None, "accepted_at_ms": None, "ended_at_ms": None, "cancel_requested_at_ms": None,
        "retry_of": None, "items": items,
    }  # fmt: skip  # as above
    return JobView(**{**known, **values})


def item_view(item: int, **values: Any) -> ItemView:
    known: dict[str, Any] = {
        "item": item, "flask": item + 1, "ingredient": f"spice {item + 1}", "target_mg": 5_000, "state": "pending",
        "dispensed_mg": None, "duration_ms": None, "error": None, "resolution": None, "resolved_mg": None,
    }  # fmt: skip  # as above
    return ItemView(**{**known, **values})


class Frames:
    """What one viewer was sent, and what a browser would show."""

    def __init__(self, viewer: Viewer) -> None:
        self.viewer = viewer
        self.frames: list[dict[str, Any]] = []
        self.shown: dict[str, Any] = {}
        self.seq = 0

    async def read(self) -> dict[str, Any]:
        """The next frame, applied as the browser applies it."""
        async with asyncio.timeout(5):
            frame: dict[str, Any] = json.loads(await self.viewer.next())
        if frame["type"] == "snapshot":
            self.shown = {}
        else:
            assert frame["from"] == self.seq, "a gap"
        self.seq = frame["seq"]
        for key, value in frame["set"].items():
            if value is None:
                self.shown.pop(key, None)
            else:
                self.shown[key] = value
        self.frames.append(frame)
        return frame


Message = tuple[str, bytes]


def status(device: str = "line-1", **values: Any) -> Message:
    known: dict[str, Any] = {
        "online": True, "epoch": EPOCH, "boot": 3, "connection": 2, "ms": 100, "firmware": "1.0.0",
        "reset_cause": "power_on", "config_version": 1, "job": None, "last_seq": 0, "receipted_seq": 0, "fault": None,
    }  # fmt: skip  # as above
    return topics.STATUS.topic(device), encode(StatusReported(**{**known, **values}))


def progress(item: int, state: str, device: str = "line-1", **values: Any) -> Message:
    known: dict[str, Any] = {
        "job": "job-1", "seq": 1, "item": item, "state": state, "target_mg": 5_000,
        "dispensed_mg": 5_000 if state == "done" else 0 if state == "failed" else None,
        "duration_ms": 2_500 if state == "done" else None, "error": None, "epoch": EPOCH, "boot": 3, "ms": 200,
    }  # fmt: skip  # as above
    report = ItemProgressed(**{**known, **values})
    return topics.PROGRESS.topic(device, item + 1), encode(report)


def accept(device: str = "line-1", refusal: str | None = None, job: str = "job-1", seq: int = 1) -> Message:
    message = JobAccepted(job=job, seq=seq, refusal=refusal, epoch=EPOCH, boot=3, ms=150)
    return topics.ACCEPT.topic(device), encode(message)


def offer(device: str = "line-1", job: str = "job-1") -> Message:
    message = OfferJob(job=job, seq=1, epoch=EPOCH, items=(OfferedItem(flask=1, target_mg=5_000),))
    return topics.OFFER.topic(device), encode(message)


def completion(*states: str, device: str = "line-1", job: str = "job-1", error: str = "jammed") -> Message:
    items = tuple(
        ItemReport(
            item=n, flask=n + 1, state=state, target_mg=5_000,
            dispensed_mg=5_000 if state == "done" else 0 if state == "failed" else None,
            duration_ms=2_500 if state == "done" else None, error=error if state == "failed" else None,
        )
        for n, state in enumerate(states)
    )  # fmt: skip  # as above
    message = JobCompleted(job=job, seq=1, state=job_outcome(states), items=items, epoch=EPOCH, boot=3, ms=900)
    return topics.COMPLETION.topic(device), encode(message)


def receipt(device: str = "line-1", job: str = "job-1") -> Message:
    return topics.RECEIPT.topic(device), encode(CompletionReceived(job=job, seq=1, epoch=EPOCH))


def stock(flask: int, stock_mg: int, revision: int, device: str = "line-1", reserved_mg: int = 0) -> Message:
    message = StockChanged(revision=revision, ingredient=f"spice {flask}", stock_mg=stock_mg, reserved_mg=reserved_mg)
    return topics.STOCK.topic(device, flask), encode(message)


def telemetry(device: str = "line-1") -> Message:
    message = TelemetryReported(
        rssi_dbm=-60, free_heap_bytes=50_000, uptime_ms=1_000, reconnects=0, outage_ms=0, flash_writes=1,
        round_trip_ms=20,
    )  # fmt: skip  # as above
    return topics.TELEMETRY.topic(device), encode(message)
