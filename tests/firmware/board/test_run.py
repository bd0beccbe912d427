"""The loop of a board on CPython: the product's core, stream and flash over a real socket, hardware for a test."""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from firmware.board.flash import Flash
from firmware.board.run import Board, Facts
from firmware.board.stream import Stream
from firmware.core.dispenser import Dispenser
from firmware.core.ports import FlaskClosed, Linked, LinkLost, Port, Received, Saved, StopPressed
from tests.firmware.bench import flask
from tests.firmware.broker import DEVICE
from tests.firmware.peer import Peer, peer


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


class Site(NamedTuple):
    """A dispenser's board and its peer."""

    peer: Peer
    hardware: BenchHardware
    flash: Flash


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """A dispenser that is online, with flasks 1 and 2 that give a milligram in a millisecond."""
    async with peer(flask(1, settle_ms=0), flask(2, settle_ms=0)) as one:
        facts = Facts()
        hardware = BenchHardware(facts.tell)
        flash = Flash(str(tmp_path))
        begun = time.monotonic()
        board = Board(
            Dispenser(DEVICE, "secret", "1", random.getrandbits),
            facts,
            hardware,
            Stream("127.0.0.1", one.port, None, facts.tell, lambda: True),
            flash,
            lambda: int((time.monotonic() - begun) * 1000),
        )
        running = asyncio.create_task(board.run("power_on"))
        await one.until(one.is_configured)
        yield Site(one, hardware, flash)
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError, OSError):
            await running


async def test_a_job_runs_to_its_receipt_and_the_next_one_follows(site: Site) -> None:
    site.peer.offer(1, (1, 20), (2, 30))
    await site.peer.until(lambda: site.peer.is_receipted(1))
    site.peer.offer(2, (1, 10))
    await site.peer.until(lambda: site.peer.is_receipted(2))
    assert [flask for flask, _ms in site.hardware.openings] == [1, 2, 1]
    reported = [item.duration_ms for done in site.peer.completions() for item in done.items]
    assert reported == [open_ms for _flask, open_ms in site.hardware.openings]
    assert site.hardware.shown[-1] == "online"
    assert sorted(site.flash.read()) == ["config", "done.0", "done.1", "state.a", "state.b"]


async def test_a_press_on_the_button_closes_the_open_flask(site: Site) -> None:
    site.peer.offer(1, (1, 50_000), (2, 10))
    await site.peer.until(lambda: site.hardware.is_open)
    site.hardware.is_pressed = True
    await site.peer.until(lambda: site.peer.is_receipted(1))
    assert [item.error for item in site.peer.completions()[-1].items] == ["cancelled", "cancelled"]
    assert len(site.hardware.openings) == 1


async def test_a_lost_stream_is_opened_again_and_a_flask_goes_on_meanwhile(site: Site) -> None:
    site.peer.offer(1, (1, 300))
    await site.peer.until(lambda: site.hardware.is_open)
    assert site.peer.writer is not None
    site.peer.writer.transport.abort()
    await site.peer.until(lambda: site.peer.is_receipted(1))
    assert site.peer.broker.connects == 2
    assert [item.state for item in site.peer.completions()[-1].items] == ["done"]


async def test_the_watchdog_is_fed_while_nothing_happens(site: Site) -> None:
    fed = site.hardware.fed
    await site.peer.until(lambda: site.hardware.fed > fed + 5)


async def test_hardware_that_raises_ends_the_loop_with_every_gate_closed(site: Site) -> None:
    site.peer.offer(1, (1, 50_000))
    await site.peer.until(lambda: site.hardware.is_open)
    site.hardware.is_broken = True
    await site.peer.until(lambda: not site.hardware.is_open)
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
