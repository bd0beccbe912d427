"""A gate that opens closes in time, whatever else fails."""

from itertools import chain, repeat

import pytest

from firmware.board.gates import Gates, Opening
from firmware.board.pca9685 import ADDRESS, Pca9685
from tests.firmware.board.chips import I2C, Clock, Pin, ServoDriver, Timer

CHANNEL = 4
CLOSED_US = 1000
OPEN_US = 2000


class Bench:
    """Gates with everything around them."""

    def __init__(self, pulses: bytes = b"") -> None:
        self.clock = Clock()
        self.enable = Pin(1)
        self.chip = ServoDriver(self.enable)
        self.bus = I2C({ADDRESS: self.chip})
        self.close_timer = Timer(self.clock)
        self.limit_timer = Timer(self.clock)
        self.kept: list[bytes] = []
        self.gates = Gates(
            Pca9685(self.bus),
            self.enable,
            self.close_timer,
            self.limit_timer,
            self.clock.now_ms,
            pulses,
            self.kept.append,
        )

    def open(self, open_ms: int = 500, limit_ms: int = 2000) -> None:
        self.gates.open(1, open_ms, limit_ms, CHANNEL, CLOSED_US, OPEN_US)

    def is_open(self) -> bool:
        return self.chip.pulse_us(CHANNEL) > 1500

    def is_closed(self) -> bool:
        return 0 < self.chip.pulse_us(CHANNEL) < 1500

    def end(self) -> tuple[int | None, str]:
        opening = self.gates.take()
        assert isinstance(opening, Opening)
        assert self.gates.take() is None
        return opening.open_ms, opening.error


@pytest.fixture
def bench() -> Bench:
    bench = Bench()
    bench.gates.close_all()
    return bench


def test_a_gate_opens_for_its_time_and_closes_by_its_timer(bench: Bench) -> None:
    bench.open(500)
    bench.clock.advance(499)
    assert bench.is_open()
    assert bench.gates.take() is None
    bench.clock.advance(1)
    assert bench.is_closed()
    assert bench.end() == (500, "")
    assert not bench.close_timer.is_armed
    assert not bench.limit_timer.is_armed


def test_both_timers_are_armed_before_the_gate_opens(bench: Bench) -> None:
    seen: list[tuple[bool, bool]] = []

    def look() -> None:
        if not bench.is_open():
            seen.append((bench.close_timer.is_armed, bench.limit_timer.is_armed))

    bench.bus.before = look
    bench.open()
    assert seen[-1] == (True, True)
    assert bench.is_open()


def test_the_limit_closes_a_gate_whose_timer_never_comes(bench: Bench) -> None:
    bench.close_timer.stuck = True
    bench.open(500, 800)
    bench.clock.advance(799)
    assert bench.is_open()
    bench.clock.advance(1)
    assert bench.is_closed()
    assert bench.end() == (800, "")


def test_the_main_loop_closes_a_gate_whose_timers_never_come(bench: Bench) -> None:
    bench.close_timer.stuck = bench.limit_timer.stuck = True
    bench.open(500)
    bench.clock.advance(510, bench.gates.check)
    assert bench.is_closed()
    assert bench.end() == (500, "")


def test_an_opening_above_the_limit_is_cut_at_the_limit(bench: Bench) -> None:
    bench.open(5000, 300)
    bench.clock.advance(300)
    assert bench.is_closed()
    assert bench.end() == (300, "")


def test_a_stop_closes_at_once_and_the_time_is_what_was_measured(bench: Bench) -> None:
    bench.open(500)
    bench.clock.advance(123)
    bench.gates.close(2)
    assert bench.is_open()
    bench.gates.close(1)
    assert bench.is_closed()
    assert bench.end() == (123, "")
    bench.gates.close(1)
    assert bench.gates.take() is None


def test_a_jam_closes_the_gate_and_says_so(bench: Bench) -> None:
    bench.open(5000)
    bench.clock.advance(200)
    bench.gates.jam(1)
    assert bench.is_closed()
    assert bench.end() == (200, "jammed")


def test_one_that_is_due_before_it_is_open_closes_all_the_same(bench: Bench) -> None:
    bench.bus.before = lambda: bench.clock.advance(1)
    bench.open(1)
    assert bench.is_closed()
    open_ms, error = bench.end()
    assert error == ""
    assert open_ms is not None
    assert open_ms <= 10


def test_at_boot_every_known_gate_is_closed_and_the_others_get_no_pulses() -> None:
    before = Bench()
    before.gates.close_all()
    before.open()
    (pulses,) = before.kept
    after = Bench(pulses)
    # The driver kept its power while the board restarted: the gate is still open.
    after.chip.registers[:] = before.chip.registers
    after.enable.value(0)
    assert after.is_open()
    after.gates.close_all()
    assert after.is_closed()
    assert [after.chip.pulse_us(other) for other in range(16) if other != CHANNEL] == [0] * 15


@pytest.mark.parametrize("pulses", [b"\xff" * 32, b"\x03\xe8", b"\0" * 32])
def test_a_memory_that_is_not_ours_moves_no_servo(pulses: bytes) -> None:
    bench = Bench(pulses)
    bench.gates.close_all()
    assert [bench.chip.pulse_us(channel) for channel in range(16)] == [0] * 16


def test_a_closing_pulse_is_remembered_once(bench: Bench) -> None:
    for _opening in range(2):
        bench.open(10)
        bench.clock.advance(10)
        bench.gates.take()
    assert len(bench.kept) == 1


def test_a_memory_that_cannot_be_written_stops_no_job(bench: Bench) -> None:
    def full(_pulses: bytes) -> None:
        raise OSError(28, "ENOSPC")

    bench.gates._remember = full
    bench.open(10)
    assert bench.is_open()


def test_a_dead_driver_is_a_servo_fault_and_nothing_opened(bench: Bench) -> None:
    bench.bus.script = repeat(True)
    bench.open()
    assert bench.end() == (0, "servo_fault")
    assert not bench.limit_timer.is_armed
    assert bench.gates.is_broken()


def test_a_driver_that_lost_its_power_is_set_up_again_before_the_gate_opens(bench: Bench) -> None:
    bench.chip.power_cycle()
    bench.open(100)
    assert bench.is_open()
    bench.clock.advance(100)
    assert bench.end() == (100, "")


def test_an_open_that_is_refused_and_closed_at_once_moved_nothing(bench: Bench) -> None:
    # Two looks at the set-up, the closed pulse being known already; then the opening pulse is refused.
    bench.open(10)
    bench.clock.advance(10)
    bench.gates.take()
    bench.bus.script = chain([False, False, True], repeat(False))
    bench.open()
    assert bench.is_closed()
    assert bench.end() == (0, "servo_fault")


def test_an_open_that_is_refused_and_cannot_be_closed_is_unknown(bench: Bench) -> None:
    bench.bus.script = chain([False, False, False], repeat(True))
    bench.open()
    assert bench.enable.level == 1
    assert bench.end() == (None, "servo_fault")


def test_one_lost_transfer_does_not_keep_a_gate_open(bench: Bench) -> None:
    bench.open(500)
    bench.bus.script = chain([True], repeat(False))
    bench.clock.advance(500)
    assert bench.is_closed()
    assert bench.end() == (500, "")


def test_a_close_that_fails_takes_the_pulses_away_and_nobody_knows_the_time(bench: Bench) -> None:
    bench.open(500)
    bench.bus.script = repeat(True)
    bench.clock.advance(500)
    assert bench.chip.pulse_us(CHANNEL) == 0
    assert bench.end() == (None, "servo_fault")
    assert bench.gates.is_broken()


def test_a_driver_that_comes_back_closes_all_gates_first(bench: Bench) -> None:
    bench.open(500)
    bench.bus.script = repeat(True)
    bench.clock.advance(500)
    bench.gates.take()
    bench.clock.advance(600, bench.gates.check)
    assert bench.gates.is_broken()
    bench.bus.script = iter(())
    bench.clock.advance(600, bench.gates.check)
    assert not bench.gates.is_broken()
    assert bench.enable.level == 0
    assert bench.is_closed()


@pytest.mark.parametrize("lasting", [False, True])
@pytest.mark.parametrize("failing", range(12))
def test_whichever_transfer_fails_once_or_for_good_no_gate_is_open_after_the_limit(failing: int, lasting: bool) -> None:
    bench = Bench()
    bench.gates.close_all()
    bench.bus.script = chain([False] * failing, repeat(True) if lasting else [True])
    bench.open(500, 600)
    bench.clock.advance(600, bench.gates.check)
    assert not bench.is_open()
    open_ms, error = bench.end()
    assert open_ms in (0, 500) if not error else (open_ms, error) in ((0, "servo_fault"), (None, "servo_fault"))


def test_a_broken_driver_is_not_asked_all_the_time(bench: Bench) -> None:
    bench.bus.script = repeat(True)
    bench.gates.close_all()
    before = bench.bus.transfers
    bench.clock.advance(1000, bench.gates.check)
    assert bench.bus.transfers - before <= 2


def test_the_end_of_the_program_closes_what_is_open(bench: Bench) -> None:
    bench.open()
    bench.gates.close_all()
    assert bench.is_closed()
    assert not bench.close_timer.is_armed
    assert not bench.limit_timer.is_armed


def test_another_open_closes_the_first(bench: Bench) -> None:
    bench.open()
    bench.gates.open(2, 100, 200, 5, 1000, 2000)
    assert bench.is_closed()
    assert bench.chip.pulse_us(5) > 1500
