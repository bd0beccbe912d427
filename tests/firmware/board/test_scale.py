"""The load cell: bits to counts, counts to milligrams, and what a jam looks like."""

import random
from collections.abc import Callable

import pytest

from firmware.board.scale import SETTLE_LIMIT_MS, STALL_MS, Hx711, Scale
from tests.firmware.board.chips import Clock, LoadCell

COUNTS_PER_G = 420


def at_once(call: Callable[[], None]) -> None:
    call()


def converter(cell: LoadCell) -> Hx711:
    return Hx711(cell.data, cell.clock, at_once)


class Bench:
    """A scale with a load, converted ten times a second."""

    def __init__(self, counts_per_g: int = COUNTS_PER_G) -> None:
        self.clock = Clock()
        self.cell = LoadCell()
        self.mg = 0
        self.noise_mg = 30
        self.is_there = True
        self._counts_per_g = counts_per_g
        self._rng = random.Random(7)
        self.scale = Scale(converter(self.cell), counts_per_g, self.clock.now_ms)

    def run(self, ms: int, mg_per_s: int = 0) -> None:
        for _step in range(ms // 10):
            self.clock.advance(10)
            self.mg += mg_per_s // 100
            if self.is_there and self.clock.ms % 100 == 0:
                noisy_mg = 1_000_000 + self.mg + self._rng.randint(-self.noise_mg, self.noise_mg)
                self.cell.convert(noisy_mg * self._counts_per_g // 1000)
            self.scale.poll()


@pytest.fixture
def bench() -> Bench:
    bench = Bench()
    bench.run(1000)
    return bench


@pytest.mark.parametrize("counts", [0, 1, -1, 8_388_606, -8_388_607, 0x123456, -0x123456])
def test_a_reading_is_what_the_converter_shifts_out(counts: int) -> None:
    cell = LoadCell()
    cell.convert(counts)
    assert converter(cell).read() == counts
    assert converter(cell).read() is None


@pytest.mark.parametrize("counts", [0x7FFFFF, -0x800000])
def test_a_converter_at_the_end_of_its_range_gives_no_weight(counts: int) -> None:
    cell = LoadCell()
    cell.convert(counts)
    assert converter(cell).read() is None


def test_every_pulse_is_sent_with_interrupts_off() -> None:
    cell = LoadCell()
    cell.convert(5)
    pulses = []

    def locked(call: Callable[[], None]) -> None:
        before = cell.pulses
        call()
        pulses.append(before)

    assert Hx711(cell.data, cell.clock, locked).read() == 5
    assert pulses == list(range(25))


def test_a_clock_that_is_held_high_too_long_gives_no_reading() -> None:
    cell = LoadCell()
    cell.convert(5)
    cell.slow_us = 70
    reader = converter(cell)
    reader.read()
    assert cell.is_down
    assert reader.read() is None


@pytest.mark.parametrize("counts_per_g", [COUNTS_PER_G, -COUNTS_PER_G])
def test_what_arrived_is_weighed_whichever_way_the_cell_is_mounted(counts_per_g: int) -> None:
    bench = Bench(counts_per_g)
    bench.run(1000)
    bench.scale.begin()
    bench.run(2000, mg_per_s=5000)
    bench.scale.end()
    assert not bench.scale.has_settled()
    bench.run(600)
    assert bench.scale.has_settled()
    weighed_mg = bench.scale.weighed_mg()
    assert weighed_mg is not None
    assert abs(weighed_mg - 10_000) <= 100


def test_the_weight_waits_until_the_cup_is_still(bench: Bench) -> None:
    bench.scale.begin()
    bench.run(1000, mg_per_s=5000)
    bench.scale.end()
    bench.noise_mg = 3000
    bench.run(1500)
    assert not bench.scale.has_settled()
    bench.noise_mg = 30
    bench.run(600)
    assert bench.scale.has_settled()
    assert bench.scale.weighed_mg() == pytest.approx(5000, abs=100)


def test_a_cup_that_never_stands_still_is_no_weight(bench: Bench) -> None:
    bench.scale.begin()
    bench.scale.end()
    bench.noise_mg = 3000
    bench.run(SETTLE_LIMIT_MS)
    assert bench.scale.has_settled()
    assert bench.scale.weighed_mg() is None


def test_without_a_still_start_there_is_no_weight_and_no_waiting(bench: Bench) -> None:
    bench.noise_mg = 3000
    bench.run(1000)
    bench.scale.begin()
    bench.noise_mg = 30
    bench.run(5000)
    assert not bench.scale.is_stalled()
    bench.scale.end()
    assert bench.scale.has_settled()
    bench.run(1000)
    assert bench.scale.weighed_mg() is None


def test_a_cell_that_falls_silent_is_no_weight(bench: Bench) -> None:
    bench.scale.begin()
    bench.is_there = False
    bench.run(1500)
    assert not bench.scale.is_stalled()
    bench.scale.end()
    assert bench.scale.has_settled()
    assert bench.scale.weighed_mg() is None


def test_a_cup_taken_away_weighs_nothing_rather_than_less(bench: Bench) -> None:
    bench.scale.begin()
    bench.mg -= 50_000
    bench.scale.end()
    bench.run(1000)
    assert bench.scale.weighed_mg() == 0


def test_a_gate_that_lets_nothing_through_is_seen(bench: Bench) -> None:
    bench.scale.begin()
    bench.run(STALL_MS - 100)
    assert not bench.scale.is_stalled()
    bench.run(200)
    assert bench.scale.is_stalled()


def test_a_flow_is_no_jam_and_one_that_ends_is(bench: Bench) -> None:
    bench.scale.begin()
    for _look in range(100):
        bench.run(100, mg_per_s=200)
        assert not bench.scale.is_stalled()
    bench.run(STALL_MS + 2000)
    assert bench.scale.is_stalled()
