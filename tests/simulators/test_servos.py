"""The servo board: the gate's measured time is what it answers, and what left is what the witness sees."""

import asyncio
import time

import pytest

from firmware.core.ports import FlaskClosed, FlaskFailed, OpenFlask, Port
from simulators.flask import Flask, FlaskSpec, GateMisused
from simulators.servos import MAX_LATE_MS, Servos
from simulators.truth import CLOSED, JAMMED, POWER_LOST, STOPPED, Opening, Purpose
from tests.simulators.conftest import Signal


class Rig:
    """Two flasks on a servo board; the second has a load cell."""

    def __init__(self) -> None:
        self.signal = Signal()
        self.answers: list[Port] = []
        self.seen: list[Opening] = []
        self.flasks = {1: Flask(FlaskSpec(1, 50_000, 1000)), 2: Flask(FlaskSpec(2, 50_000, 3000, load_cell=True))}
        self.servos = Servos("disp-1", self.flasks, self._answer, self.seen.append)

    def _answer(self, fact: Port) -> None:
        self.answers.append(fact)
        self.signal.happened()

    async def answer(self) -> Port:
        await self.signal.until(lambda: bool(self.answers))
        return self.answers[0]


def order(open_ms: int, *, flask: int = 1, limit_ms: int = 60_000) -> OpenFlask:
    return OpenFlask(flask, open_ms, limit_ms, 0, 1000, 2000)


@pytest.mark.parametrize("number", range(1, 4))
async def test_a_gate_closes_by_itself_a_little_late_and_says_how_late(number: int) -> None:
    rig = Rig()
    rig.servos.open(order(30), Purpose(number, "job-1", 0))
    assert rig.servos.any_open
    closed = await rig.answer()
    measured_ms = 30 + number % (MAX_LATE_MS + 1)
    assert closed == FlaskClosed(1, measured_ms, None)
    start_ms = rig.seen[0].start_ms
    assert rig.seen == [Opening("disp-1", 1, number, "job-1", 0, start_ms, measured_ms, measured_ms, CLOSED)]
    assert rig.flasks[1].left_mg == measured_ms
    assert not rig.servos.any_open


async def test_a_load_cell_says_what_left() -> None:
    rig = Rig()
    rig.servos.open(order(30, flask=2), Purpose(3, None, None))
    assert await rig.answer() == FlaskClosed(2, 30, 90)


async def test_the_limit_closes_a_gate_that_was_told_to_stay_open_longer() -> None:
    rig = Rig()
    rig.servos.open(order(60_000, limit_ms=20), Purpose(1, None, None))
    assert await rig.answer() == FlaskClosed(1, 20, None)
    assert rig.seen[0].end == STOPPED


async def test_a_gate_told_to_close_says_how_long_it_was_open() -> None:
    rig = Rig()
    rig.servos.open(order(60_000), Purpose(1, None, None))
    asyncio.get_running_loop().call_later(0.03, rig.servos.close, 1)
    closed = await rig.answer()
    assert isinstance(closed, FlaskClosed)
    assert 29 <= closed.open_ms < 60_000
    assert rig.seen[0][6:] == (closed.open_ms, closed.open_ms, STOPPED)


async def test_closing_a_closed_gate_changes_nothing() -> None:
    rig = Rig()
    rig.servos.close(1)
    rig.servos.close(9)
    assert rig.answers == []
    assert rig.seen == []


async def test_a_jammed_gate_is_reported_and_works_again_when_it_is_free() -> None:
    rig = Rig()
    rig.servos.open(order(30), Purpose(1, "job-1", 0), jammed=True)
    assert not rig.servos.any_open
    assert await rig.answer() == FlaskFailed(1, "jammed", 0)
    assert rig.seen[0][6:] == (0, 0, JAMMED)
    rig.answers.clear()
    rig.servos.open(order(30), Purpose(3, "job-2", 0))
    assert await rig.answer() == FlaskClosed(1, 30, None)


async def test_a_flask_that_is_not_there_is_a_servo_fault() -> None:
    rig = Rig()
    rig.servos.open(order(30, flask=7), Purpose(1, None, None))
    assert await rig.answer() == FlaskFailed(7, "servo_fault", 0)
    assert rig.seen == []


async def test_when_power_goes_the_gate_closes_and_nobody_is_told() -> None:
    rig = Rig()
    rig.servos.open(order(1000), Purpose(1, "job-1", 0))

    def cut() -> None:
        rig.servos.power_off()
        rig.signal.happened()

    asyncio.get_running_loop().call_later(0.02, cut)
    await rig.signal.until(lambda: bool(rig.seen))
    assert not rig.servos.any_open
    assert rig.answers == []
    assert rig.seen[0].end == POWER_LOST
    assert 19 <= rig.seen[0].mg == rig.flasks[1].left_mg < 1000


async def test_a_planned_power_cut_closes_the_gate_on_time_however_late_it_is_carried_out() -> None:
    rig = Rig()
    rig.servos.open(order(30), Purpose(1, "job-1", 0), power_ms=10)
    time.sleep(0.05)  # noqa: ASYNC251  # holds up the loop: the lateness under test
    rig.servos.power_off()
    assert rig.seen[0][6:] == (10, 10, POWER_LOST)


async def test_a_jam_that_power_was_cut_on_is_not_reported_to_the_next_boot() -> None:
    rig = Rig()
    rig.servos.open(order(30), Purpose(1, None, None), jammed=True)
    rig.servos.power_off()
    rig.servos.open(order(150), Purpose(3, None, None))
    assert await rig.answer() == FlaskClosed(1, 150, None)


async def test_a_second_open_flask_is_a_mistake_that_names_both() -> None:
    rig = Rig()
    rig.servos.open(order(60_000), Purpose(1, None, None))
    with pytest.raises(GateMisused, match="disp-1 opens flask 2 while flask 1 is open"):
        rig.servos.open(order(10, flask=2), Purpose(2, None, None))
    rig.servos.power_off()
