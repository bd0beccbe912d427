"""The live feed: MQTT messages in, the same picture to every viewer. For display only; the ledger decides.

`apply` folds a message in. `run` sends what changed every 100 ms and reads the ledger again after receipts, after
orders placed here, and every few seconds while somebody watches, for what has no message (an expiry, a new dispenser).
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import structlog

from dashboard.channel import Channel, Viewer
from dashboard.fleet_picture import FleetPicture
from dashboard.job_picture import JobPicture, item_values, job_value
from dashboard.ledger_reads import LedgerReads
from dashboard.picture import DispenserPicture, Progress
from protocol import topics
from protocol.codec import Malformed, decode
from protocol.fields import Record
from protocol.messages import (
    CompletionReceived,
    ItemProgressed,
    JobAccepted,
    JobCompleted,
    OfferJob,
    StatusReported,
    StockChanged,
)

# Ten frames a second look continuous; a flask that moves faster is shown at its latest value.
COALESCE_S = 0.1

# What has no message of its own shows within this time.
REREAD_S = 3.0

# The ledger has other readers: however much happens, the feed asks it at most this often, and rests nine times as long
# as the last reading took, so that a fleet of any size costs a tenth of one reader.
REREAD_GAP_S = 0.25
REST_FOR_EACH_READ = 9

# A screen wall and everybody's phones; each is a socket and a task, so there is a bound.
MAX_VIEWERS = 500


_log = structlog.get_logger(__name__)


class TooManyViewers(Exception):
    """The dashboard already serves as many live viewers as it takes. Close some tabs, or start another dashboard."""


class NothingToWatch(Exception):
    """There is no such job in the ledger."""


@dataclass(slots=True)
class _WatchedJob:
    picture: JobPicture
    channel: Channel
    viewers: int = 0


class LiveFeed:
    """Lives in one event loop; only `job_changed` and `stock_changed` may be called from elsewhere."""

    def __init__(
        self,
        reads: LedgerReads,
        now_ms: Callable[[], int],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.ignored = 0  # messages that nobody can read; the ledger keeps them as dead letters
        self._reads = reads
        self._now_ms = now_ms
        self._sleep = sleep
        self._fleet = FleetPicture(now_ms)
        self._watched: dict[str, _WatchedJob] = {}
        self._viewers = 0
        self._stale_jobs: set[str] = set()
        self._stale_fleet = True
        self._reading = asyncio.Lock()
        self._shown = asyncio.Event()
        self._stale = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._health: dict[str, object] = {"broker": "connecting", "ledger": "connected", "since_ms": now_ms()}
        self._fleet.channel.put("feed", self._health)

    def apply(self, topic: str, payload: bytes, *, retained: bool = False) -> None:
        """Fold one message in. A retained replay is no sign of life; a message that nobody can read is ignored."""
        try:
            device, channel, flask = topics.parse(topic)
            message = decode(channel.record, payload)
        except (topics.BadTopic, Malformed):
            self.ignored += 1
            return
        picture = self._fleet.dispensers.get(device)
        if picture is None:
            self._reread_fleet()
            return
        from_itself = channel.sender == topics.DEVICE_ROLE and not retained
        if from_itself and not (isinstance(message, StatusReported) and not message.online):
            picture.seen(self._now_ms())
        self._fold(picture, device, flask, message, retained)
        self._show_dispenser(device)
        if flask is not None:
            self._fleet.show_flask(device, flask)
        self._shown.set()

    @property
    def broker_connected(self) -> bool:
        """Whether messages can come."""
        return self._health["broker"] == "connected"

    def source_lost(self) -> None:
        """The broker cannot be reached: what is shown gets older from now on."""
        self._health_is(broker="unreachable")

    def source_back(self) -> None:
        """The broker is there again."""
        self._health_is(broker="connected")

    def job_changed(self, job: str) -> None:
        """A job was placed, stopped or resolved here: read it from the ledger. May be called from any thread."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._reread_job, job)

    def stock_changed(self) -> None:
        """Somebody refilled or counted here. May be called from any thread."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._reread_fleet)

    @asynccontextmanager
    async def watch(self, job: str | None = None) -> AsyncIterator[Viewer]:
        """A viewer of the whole fleet, or of one job. Raises `TooManyViewers` or `NothingToWatch`."""
        if self._viewers >= MAX_VIEWERS:
            raise TooManyViewers
        self._viewers += 1
        try:
            await self._refresh_fleet()  # of many who come at once, the first one reads
            if job is None:
                self._fleet.channel.flush()
                yield Viewer(self._fleet.channel)
            else:
                watched = await self._watch_job(job)
                watched.viewers += 1
                try:
                    yield Viewer(watched.channel)
                finally:
                    watched.viewers -= 1
                    if not watched.viewers:
                        self._watched.pop(job, None)
        finally:
            self._viewers -= 1

    async def run(self) -> None:
        """Send and re-read until cancelled."""
        self._loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._send_forever())
            tasks.create_task(self._reread_forever())
            tasks.create_task(self._tick_forever())

    def flush(self) -> None:
        """Send what changed since the last time to every viewer."""
        self._fleet.channel.flush()
        for watched in self._watched.values():
            watched.channel.flush()

    async def reread(self) -> None:
        """Read from the ledger what may have moved there."""
        jobs, self._stale_jobs = self._stale_jobs & self._watched.keys(), set()
        if self._viewers:
            await self._refresh_fleet()
        for job in jobs:
            view = await self._reads.job(job)
            watched = self._watched.get(job)
            if view is not None and watched is not None:
                watched.picture.settle(view)
                self._show_job(watched)

    async def _send_forever(self) -> None:
        while True:
            await self._shown.wait()
            self._shown.clear()
            self.flush()
            await self._sleep(COALESCE_S)

    async def _reread_forever(self) -> None:
        while True:
            await self._stale.wait()
            self._stale.clear()
            began_ms = self._now_ms()
            try:
                await self.reread()
            except Exception:  # whatever the database raises: the picture goes on, and says that the ledger is away
                _log.exception("the ledger cannot be read; the live feed tries again")
                self._health_is(ledger="unreachable")
            else:
                self._health_is(ledger="connected")
            took_s = max(0, self._now_ms() - began_ms) / 1000
            await self._sleep(max(REREAD_GAP_S, took_s * REST_FOR_EACH_READ))

    async def _tick_forever(self) -> None:
        while True:
            await self._sleep(REREAD_S)
            self._stale_jobs |= self._watched.keys()
            self._reread_fleet()

    def _fold(self, picture: DispenserPicture, device: str, flask: int | None, message: Record, retained: bool) -> None:
        now_ms = self._now_ms()
        if isinstance(message, StatusReported):
            picture.heard(message, now_ms, retained=retained)
        elif isinstance(message, StockChanged) and flask is not None:
            picture.stocked(flask, message)
        elif isinstance(message, ItemProgressed) and flask is not None:
            if picture.progressed(flask, message, now_ms, retained=retained):
                since_ms = None if retained else now_ms
                self._tell(device, message.job, lambda job: job.progressed(flask, message, since_ms))
        elif isinstance(message, JobAccepted):
            picture.answered(message)
            self._tell(device, message.job, lambda job: job.answered(message))
        elif isinstance(message, OfferJob):
            self._tell(device, message.job, lambda job: job.offered(message))
        elif isinstance(message, JobCompleted):
            self._tell(device, message.job, lambda job: job.completed(message, now_ms))
        elif isinstance(message, CompletionReceived):
            self._reread_job(message.job)

    def _tell(self, device: str, job: str, change: Callable[[JobPicture], bool]) -> None:
        self._reread_fleet()
        watched = self._watched.get(job)
        if watched is not None and watched.picture.view.device == device and change(watched.picture):
            self._show_job(watched)

    def _reread_job(self, job: str) -> None:
        if job in self._watched:
            self._stale_jobs.add(job)
        self._reread_fleet()

    def _reread_fleet(self) -> None:
        self._stale_fleet = True
        self._stale.set()

    async def _refresh_fleet(self) -> None:
        async with self._reading:
            if self._stale_fleet:
                self._stale_fleet = False
                try:
                    self._fleet.take(await self._reads.fleet())
                except BaseException:
                    self._stale_fleet = True
                    raise
                for device in {watched.picture.view.device for watched in self._watched.values()}:
                    self._show_dispenser(device)
                self._shown.set()

    async def _watch_job(self, job: str) -> _WatchedJob:
        watched = self._watched.get(job)
        if watched is not None:
            return watched
        view = await self._reads.job(job)
        if view is None:
            raise NothingToWatch
        dispenser = self._fleet.dispensers.get(view.device)
        flows = {flask.flask: flask.flow_mg_per_s for flask in dispenser.flasks.values()} if dispenser else {}
        watched = _WatchedJob(JobPicture(view, {}, flows), Channel(self._now_ms))
        for flask, progress in dispenser.progress.items() if dispenser else ():
            _carry(watched.picture, flask, progress)
        # Another viewer of the job may have come while the ledger was read.
        watched = self._watched.setdefault(job, watched)
        watched.channel.put("feed", self._health)
        self._show_job(watched)
        self._show_dispenser(view.device)
        watched.channel.flush()
        return watched

    def _show_dispenser(self, device: str) -> None:
        if device not in self._fleet.dispensers:
            return
        value = self._fleet.show(device)
        for watched in self._watched.values():
            if watched.picture.view.device == device:
                watched.channel.put(f"device/{device}", value)

    def _show_job(self, watched: _WatchedJob) -> None:
        watched.channel.put("job", job_value(watched.picture))
        for key, value in item_values(watched.picture).items():
            watched.channel.put(key, value)
        self._shown.set()

    def _health_is(self, **states: str) -> None:
        if self._health != {**self._health, **states}:
            self._health = {**self._health, **states, "since_ms": self._now_ms()}
            for channel in (self._fleet.channel, *(watched.channel for watched in self._watched.values())):
                channel.put("feed", self._health)
            self._shown.set()


def _carry(picture: JobPicture, flask: int, progress: Progress) -> None:
    if progress.report.job == picture.view.job:
        picture.progressed(flask, progress.report, progress.since_ms)
