"""The loop of a board on CPython: the product's core, stream and flash over a real socket, hardware for a test."""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from firmware.board.flash import Flash
from firmware.board.run import Board, Facts
from firmware.board.stream import Stream
from firmware.core.dispenser import Dispenser
from firmware.core.ports import FlaskClosed, Linked, LinkLost, Port, Received, Saved, StopPressed
from protocol import codec, topics
from protocol.fields import Record
from protocol.messages import (
    CompletionReceived,
    ConfigureDispenser,
    JobCompleted,
    OfferedItem,
    OfferJob,
    StatusReported,
)
from tests.firmware.bench import flask
from tests.firmware.broker import DEVICE, FakeBroker, Sent


class BenchHardware:
    """Gates that close by the clock; what happened is in `openings` (flask, open_ms) and `shown`."""

    def __init__(self, tell: Callable[[Port], None]) -> None:
        self._tell = tell
        self._open: tuple[int, float, float] | None = None
        self.openings: list[tuple[int, int]] = []
        self.shown: list[str] = []
        self.fed = 0
        self.is_pressed = False
        self.is_broken = False

    @property
    def is_open(self) -> bool:
        return self._open is not None

    def open(self, flask: int, open_ms: int, limit_ms: int, channel: int, closed_us: int, open_us: int) -> None:
        self._open = (flask, time.monotonic(), min(open_ms, limit_ms) / 1000)

    def close(self, flask: int) -> None:
        if self._open is not None and self._open[0] == flask:
            open_ms = round((time.monotonic() - self._open[1]) * 1000)
            self._open = None
            self.openings.append((flask, open_ms))
            self._tell(FlaskClosed(flask, open_ms))

    def close_all(self) -> None:
        if self._open is not None:
            self.close(self._open[0])

    def sample(self) -> tuple[int, int]:
        return -60, 90_000

    def say(self, level: str, text: str) -> None:
        """Nobody listens."""

    def show(self, pattern: str) -> None:
        if pattern not in self.shown[-1:]:
            self.shown.append(pattern)

    def feed(self) -> None:
        self.fed += 1

    def step(self) -> None:
        if self.is_broken:
            raise OSError("the bus is gone")
        if self._open is not None and time.monotonic() >= self._open[1] + self._open[2]:
            self.close(self._open[0])
        if self.is_pressed:
            self.is_pressed = False
            self._tell(StopPressed())


class Site:
    """A broker for one dispenser on a real socket, and the dispenser's board."""

    def __init__(self, directory: Path, port: int, broker: FakeBroker) -> None:
        self.broker = broker
        self.facts = Facts()
        self.hardware = BenchHardware(self.facts.tell)
        self.flash = Flash(str(directory))
        self.writer: asyncio.StreamWriter | None = None
        begun = time.monotonic()
        self.board = Board(
            Dispenser(DEVICE, "secret", "1", random.getrandbits),
            self.facts,
            self.hardware,
            Stream("127.0.0.1", port, None, self.facts.tell, lambda: True),
            self.flash,
            lambda: int((time.monotonic() - begun) * 1000),
        )

    def deliver(self, topic: topics.Channel, record: Record) -> None:
        assert self.writer is not None
        self.writer.write(self.broker.message(topic.topic(DEVICE), codec.encode(record)))

    def statuses(self) -> list[StatusReported]:
        return [one.record for one in self.broker.sent if isinstance(one.record, StatusReported)]

    def completions(self) -> list[JobCompleted]:
        return [one.record for one in self.broker.sent if isinstance(one.record, JobCompleted)]

    def offer(self, seq: int, *targets_mg: int) -> None:
        items = tuple(OfferedItem(flask=number, target_mg=mg) for number, mg in enumerate(targets_mg, 1))
        job = OfferJob(job=f"job-{seq}", seq=seq, epoch=self.statuses()[-1].epoch, items=items)
        self.deliver(topics.OFFER, job)


async def until(happened: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not happened():
            await asyncio.sleep(0.005)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """A dispenser that is online, with flasks 1 and 2 that give a milligram in a millisecond."""
    sites: list[Site] = []

    def take(message: Sent) -> None:
        record = message.record
        if isinstance(record, JobCompleted):
            receipt = CompletionReceived(job=record.job, seq=record.seq, epoch=record.epoch)
            sites[0].deliver(topics.RECEIPT, receipt)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sites[0].writer = writer
        broker.opened()
        with contextlib.suppress(OSError):
            while data := await reader.read(1000):
                writer.write(broker.feed(data))
        broker.dropped()
        writer.close()

    broker = FakeBroker(on_message=take)
    config = ConfigureDispenser(version=1, flasks=(flask(1, settle_ms=0), flask(2, settle_ms=0)))
    broker.retained[topics.CONFIG.topic(DEVICE)] = codec.encode(config)
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        one = Site(tmp_path, server.sockets[0].getsockname()[1], broker)
        sites.append(one)
        running = asyncio.create_task(one.board.run("power_on"))
        await until(lambda: bool(one.statuses()) and one.statuses()[-1].config_version == 1)
        yield one
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError, OSError):
            await running
        await until(lambda: one.writer is None or one.writer.is_closing())


async def test_a_job_runs_to_its_receipt_and_the_next_one_follows(site: Site) -> None:
    site.offer(1, 20, 30)
    await until(lambda: site.statuses()[-1].receipted_seq == 1)
    site.offer(2, 10)
    await until(lambda: site.statuses()[-1].receipted_seq == 2)
    assert [flask for flask, _ms in site.hardware.openings] == [1, 2, 1]
    reported = [item.duration_ms for done in site.completions() for item in done.items]
    assert reported == [open_ms for _flask, open_ms in site.hardware.openings]
    assert site.hardware.shown[-1] == "online"
    assert sorted(site.flash.read()) == ["config", "done.0", "done.1", "state.a", "state.b"]


async def test_a_press_on_the_button_closes_the_open_flask(site: Site) -> None:
    site.offer(1, 50_000, 10)
    await until(lambda: site.hardware.is_open)
    site.hardware.is_pressed = True
    await until(lambda: site.statuses()[-1].receipted_seq == 1)
    assert [item.error for item in site.completions()[-1].items] == ["cancelled", "cancelled"]
    assert len(site.hardware.openings) == 1


async def test_a_lost_stream_is_opened_again_and_a_flask_goes_on_meanwhile(site: Site) -> None:
    site.offer(1, 300)
    await until(lambda: site.hardware.is_open)
    assert site.writer is not None
    site.writer.transport.abort()
    await until(lambda: site.statuses()[-1].receipted_seq == 1)
    assert site.broker.connects == 2
    assert [item.state for item in site.completions()[-1].items] == ["done"]


async def test_the_watchdog_is_fed_while_nothing_happens(site: Site) -> None:
    fed = site.hardware.fed
    await until(lambda: site.hardware.fed > fed + 5)


async def test_hardware_that_raises_ends_the_loop_with_every_gate_closed(site: Site) -> None:
    site.offer(1, 50_000)
    await until(lambda: site.hardware.is_open)
    site.hardware.is_broken = True
    await until(lambda: not site.hardware.is_open)
    fed = site.hardware.fed
    await asyncio.sleep(0)
    assert site.hardware.fed == fed


def test_facts_come_in_order_and_a_repeated_one_once() -> None:
    facts = Facts()
    for fact in (Saved("state.a", True), StopPressed(), StopPressed(), Linked()):
        facts.tell(fact)
    assert [facts.next(), facts.next(), facts.next(), facts.next()] == [
        Saved("state.a", True),
        StopPressed(),
        Linked(),
        None,
    ]


def test_what_a_stream_brought_is_forgotten_with_it() -> None:
    facts = Facts()
    for fact in (Received(b"x"), FlaskClosed(1, 5), LinkLost("gone"), Linked()):
        facts.tell(fact)
    facts.forget_stream()
    assert facts.next() == FlaskClosed(1, 5)
    assert facts.next() is None
