"""A real ledger and a real app around it. The test itself plays the dispenser: it says what happened, and the house
settles that in the ledger and shows it to the feed, as ingest and the broker would.
"""

import asyncio
import contextlib
import itertools
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from fastapi import FastAPI
from starlette.testclient import TestClient

from dashboard.app import create_app
from dashboard.deps import Dashboard
from dashboard.ledger_reads import ledger_reads
from dashboard.live import LiveFeed
from dashboard.security import SESSION_COOKIE
from protocol import topics
from protocol.codec import encode
from protocol.fields import from_values
from protocol.messages import (
    CancelJob,
    ConfigureDispenser,
    ItemProgressed,
    ItemReport,
    JobAccepted,
    JobCompleted,
    OfferJob,
    StatusReported,
)
from protocol.states import job_outcome
from services import devices, people
from services.ledger import outbox, queries, settle
from services.ledger.database import Database
from services.ledger.views import JobView
from tests.dashboard.bench import EPOCH, START_MS, Message

HOST = "http://pitada.test"

# A retry after a second or two is what a person does; a link for a test lives a minute.
LINK_MS = 60_000


@dataclass
class House:
    """The ledger, the feed and the app, with a clock and ids that tests can foresee."""

    database: Database
    ledger: Path
    at_ms: int = START_MS
    ids: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))
    versions: dict[str, int] = field(default_factory=dict)
    seqs: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.loop: asyncio.AbstractEventLoop | None = None
        self.open_up()

    def open_up(self) -> None:
        """A new feed and app around the ledger, as after a restart."""
        self.feed = LiveFeed(ledger_reads(self.database), self.now_ms)
        self.app: FastAPI = create_app(Dashboard(self.database, self.now_ms, self.new_id, self.feed))

    def now_ms(self) -> int:
        return self.at_ms

    def new_id(self) -> str:
        return f"job-{next(self.ids):04}"

    @contextlib.contextmanager
    def without_database(self) -> Iterator[None]:
        """The ledger's file cannot be opened while the block runs."""
        away = self.ledger.with_suffix(".away")
        self.database.close()
        self.ledger.rename(away)
        self.ledger.mkdir()
        yield
        self.ledger.rmdir()
        away.rename(self.ledger)

    # ---- dispensers

    def claim(self, device: str, *flasks: devices.FlaskSetup, name: str | None = None) -> None:
        """A dispenser that is claimed, online and configured."""
        devices.claim(self.database, device, name=name or device.title(), flasks=flasks, now_ms=self.now_ms(), by="ana")
        self.say(self.status(device))
        for due in self.dispatch():
            if isinstance(due, ConfigureDispenser):
                self.versions[device] = due.version
        self.say(self.status(device, ms=200))

    def status(self, device: str, *, online: bool = True, ms: int = 100, **values: object) -> Message:
        known: dict[str, object] = {
            "online": online, "epoch": EPOCH, "boot": 1, "connection": 1, "ms": ms, "firmware": "1.0.0",
            "reset_cause": "power_on", "config_version": self.versions.get(device, 0), "job": None,
            "last_seq": self.seqs.get(device, 0), "receipted_seq": 0, "fault": None,
        }  # fmt: skip  # one line a field would hide the few that matter
        return topics.STATUS.topic(device), encode(from_values(StatusReported, {**known, **values}))

    def dispatch(self) -> list[object]:
        """What dispatch sends now."""
        self.at_ms += 10
        with self.database.write() as tx:
            due = outbox.due(tx, self.now_ms())
        for entry in due:
            self._show(entry.channel.topic(entry.device), encode(entry.message))
        return [entry.message for entry in due]

    def offer(self) -> OfferJob:
        """The one offer that dispatch sends now."""
        [offer] = [message for message in self.dispatch() if isinstance(message, OfferJob)]
        return offer

    def cancel(self) -> CancelJob:
        """The one cancel that dispatch sends now."""
        [cancel] = [message for message in self.dispatch() if isinstance(message, CancelJob)]
        return cancel

    def accept(self, device: str, offer: OfferJob) -> None:
        self.seqs[device] = offer.seq
        message = JobAccepted(job=offer.job, seq=offer.seq, refusal=None, epoch=offer.epoch, boot=1, ms=300)
        self.say((topics.ACCEPT.topic(device), encode(message)))

    def progress(self, device: str, offer: OfferJob, item: int, state: str, error: str | None = None) -> None:
        """One item moved; a done one gave exactly its target."""
        asked = offer.items[item]
        amount_mg, duration_ms = _amount(state, asked.target_mg)
        message = ItemProgressed(
            job=offer.job, seq=offer.seq, item=item, state=state, target_mg=asked.target_mg, dispensed_mg=amount_mg,
            duration_ms=duration_ms, error=error, epoch=offer.epoch, boot=1, ms=400 + item,
        )  # fmt: skip  # as above
        self.say((topics.PROGRESS.topic(device, asked.flask), encode(message)))

    def complete(self, device: str, offer: OfferJob, *ends: tuple[str, str | None]) -> None:
        """The completion: (state, error) of each item."""
        items = []
        for n, (state, error) in enumerate(ends):
            asked = offer.items[n]
            amount_mg, duration_ms = _amount(state, asked.target_mg)
            items.append(
                ItemReport(
                    item=n, flask=asked.flask, state=state, target_mg=asked.target_mg, dispensed_mg=amount_mg,
                    duration_ms=duration_ms, error=error,
                )
            )  # fmt: skip  # as above
        message = JobCompleted(
            job=offer.job, seq=offer.seq, state=job_outcome([state for state, _ in ends]), items=tuple(items),
            epoch=offer.epoch, boot=1, ms=900,
        )  # fmt: skip  # as above
        self.say((topics.COMPLETION.topic(device), encode(message)))

    def say(self, *messages: Message) -> None:
        """A dispenser says it: the feed hears, the ledger settles, then receipts and stock go round."""
        self.at_ms += 10
        for topic, payload in messages:
            self._show(topic, payload)
        with self.database.write() as tx:
            settled = settle.settle(tx, [settle.Incoming(topic, payload) for topic, payload in messages], self.now_ms())
        for device, receipt in settled.receipts:
            self._show(topics.RECEIPT.topic(device), encode(receipt))
        for device, flask, stock in settled.stock:
            self._show(topics.STOCK.topic(device, flask), encode(stock))

    def job(self, job: str) -> JobView:
        with self.database.read() as tx:
            found = queries.job(tx, job)
        assert found is not None, job
        return found

    def _show(self, topic: str, payload: bytes) -> None:
        if self.loop is not None:
            self.loop.call_soon_threadsafe(self.feed.apply, topic, payload)

    # ---- people

    def link(self) -> str:
        """The path of a fresh sign-in link."""
        token = people.new_sign_in_link_token(self.database, self.now_ms(), LINK_MS)
        return f"/sign-in/{token}"

    def session(self) -> str:
        """The cookie of somebody who signed in."""
        session = people.redeem(self.database, self.link().rsplit("/", 1)[1], self.now_ms())
        assert session is not None
        return session

    def client(self, *, signed_in: bool = True) -> TestClient:
        """A browser's stand-in that follows no redirect."""
        cookies = {SESSION_COOKIE: self.session()} if signed_in else {}
        return TestClient(
            self.app, base_url=HOST, cookies=cookies, follow_redirects=False, raise_server_exceptions=False
        )


def furnish(house: House) -> None:
    """Two dispensers: line-1 with salt, pepper and a little paprika, line-2 with sugar."""
    house.claim(
        "line-1",
        devices.FlaskSetup(flask=1, ingredient="Sea salt", capacity_mg=200_000, stock_mg=100_000, flow_mg_per_s=2_000),
        devices.FlaskSetup(flask=2, ingredient="Black pepper", capacity_mg=99_000, stock_mg=50_000, flow_mg_per_s=900),
        devices.FlaskSetup(flask=3, ingredient="Smoked paprika", capacity_mg=99_000, stock_mg=2_000, flow_mg_per_s=900),
        name="Line 1",
    )
    sugar = devices.FlaskSetup(flask=1, ingredient="Sugar", capacity_mg=500_000, stock_mg=400_000, flow_mg_per_s=2_000)
    house.claim("line-2", sugar, name="Line 2")


def house_in(directory: Path, template: Path) -> House:
    """A house with an SQLite ledger in `directory`: a copy of `template`."""
    ledger = directory / "pitada.db"
    shutil.copy(template, ledger)
    return House(Database(f"sqlite:///{ledger}"), ledger)


def _amount(state: str, target_mg: int) -> tuple[int | None, int | None]:
    if state == "done":
        return target_mg, target_mg // 2
    return (0, 0) if state == "failed" else (None, None)
