"""The hardware as one object: what it tells, and when."""

import pytest

from firmware.board.button import SET_UP_MS, STOP_MS, Button
from firmware.board.gates import Gates
from firmware.board.hardware import Hardware
from firmware.board.led import PATTERNS, Led
from firmware.board.pca9685 import ADDRESS, Pca9685
from firmware.board.scale import STALL_MS, Hx711, Scale
from firmware.board.watchdog import SILENCE_MS, Watchdog
from firmware.board.wifi import Wifi
from firmware.core.ports import FlaskClosed, FlaskFailed, Port, StopPressed
from tests.firmware.board.chips import I2C, Clock, LoadCell, Pin, ServoDriver, Timer
from tests.firmware.board.test_watchdog import Wdt
from tests.firmware.board.test_wifi import Wlan

COUNTS_PER_G = 420


class Bench:
    """A whole dispenser on one clock. `mg_per_s` is what falls on the load cell while gate 4 is open."""

    def __init__(self, weighs: bool = False) -> None:
        self.clock = Clock()
        self.enable, self.stop, self.lamp = Pin(1), Pin(1), Pin(0)
        self.chip = ServoDriver(self.enable)
        self.bus = I2C({ADDRESS: self.chip})
        self.wlan, self.wdt, self.cell = Wlan(), Wdt(), LoadCell()
        self.mg_per_s = 5000
        self.ug = 0
        self.noise_mg = 0
        self.facts: list[Port] = []
        self.open_when_told: list[bool] = []
        self.set_ups = 0
        self.console: list[str] = []
        now_ms = self.clock.now_ms
        timers = Timer(self.clock), Timer(self.clock)
        gates = Gates(Pca9685(self.bus), self.enable, *timers, now_ms, b"", lambda _pulses: None)
        scale = Scale(Hx711(self.cell.data, self.cell.clock, lambda call: call()), COUNTS_PER_G, now_ms)
        self.hardware = Hardware(
            self.tell,
            gates,
            scale if weighs else None,
            Button(self.stop),
            Led(self.lamp),
            Watchdog(self.wdt, ("hardware",), 0),
            Wifi(self.wlan, "kitchen", "secret"),
            now_ms,
            lambda: 100_000,
            self.set_up,
            self.console.append,
        )
        self.hardware.close_all()
        self.hardware.show("online")
        self.run(2000)

    def tell(self, fact: Port) -> None:
        self.facts.append(fact)
        self.open_when_told.append(self.is_open())

    def set_up(self) -> None:
        assert not self.is_open()
        self.set_ups += 1

    def is_open(self) -> bool:
        return self.chip.pulse_us(4) > 1500

    def open(self, open_ms: int, limit_ms: int = 60_000) -> None:
        self.hardware.open(1, open_ms, limit_ms, 4, 1000, 2000)

    def run(self, ms: int) -> None:
        self.clock.advance(ms, self.each_ms)

    def each_ms(self) -> None:
        self.wlan.ms = self.clock.ms
        if self.is_open():
            self.ug += self.mg_per_s
        if self.clock.ms % 100 == 0:
            wobble_mg = self.noise_mg if self.clock.ms % 200 else 0
            self.cell.convert((self.ug // 1000 + wobble_mg) * COUNTS_PER_G // 1000)
        if self.clock.ms % 10 == 0:
            self.hardware.step()
            self.hardware.feed()

    def levels(self, ms: int) -> list[int]:
        seen = []
        for _ms in range(ms):
            self.run(1)
            seen.append(self.lamp.level)
        return seen


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def weighing() -> Bench:
    return Bench(weighs=True)


def test_an_opening_is_told_once_within_10_ms_of_its_end(bench: Bench) -> None:
    bench.open(503)
    bench.run(502)
    assert bench.is_open()
    assert bench.facts == []
    bench.run(11)
    assert bench.facts == [FlaskClosed(1, 503)]
    assert bench.open_when_told == [False]
    bench.run(1000)
    assert len(bench.facts) == 1


def test_a_close_is_told_with_the_measured_time(bench: Bench) -> None:
    bench.open(503)
    bench.run(200)
    bench.hardware.close(1)
    assert not bench.is_open()
    assert bench.facts == []
    bench.run(10)
    assert bench.facts == [FlaskClosed(1, 200)]


def test_a_dead_driver_is_told_and_seen(bench: Bench) -> None:
    bench.bus.script = iter([True] * 1000)
    bench.open(500)
    bench.run(10)
    assert bench.facts == [FlaskFailed(1, "servo_fault", 0)]
    blinks = bench.levels(400)
    assert {blinks[at] != blinks[at + 100] for at in range(300)} == {True}


def test_with_a_load_cell_the_weight_is_told_after_it_settled(weighing: Bench) -> None:
    weighing.open(1000)
    weighing.run(1010)
    assert weighing.facts == []
    assert weighing.hardware.is_dispensing()
    weighing.run(600)
    (fact,) = weighing.facts
    assert isinstance(fact, FlaskClosed)
    assert fact.open_ms == 1000
    assert fact.dispensed_mg == pytest.approx(5000, abs=20)
    assert not weighing.hardware.is_dispensing()


def test_with_a_load_cell_that_shakes_the_time_is_told(weighing: Bench) -> None:
    weighing.open(1000)
    weighing.noise_mg = 1000
    weighing.run(5000)
    assert weighing.facts == [FlaskClosed(1, 1000)]


def test_a_jam_is_seen_by_the_load_cell_long_before_the_gate_was_due(weighing: Bench) -> None:
    weighing.mg_per_s = 0
    weighing.open(30_000)
    weighing.run(STALL_MS + 1000)
    (fact,) = weighing.facts
    assert isinstance(fact, FlaskFailed)
    assert (fact.error, fact.dispensed_mg) == ("jammed", 0)
    assert STALL_MS <= (fact.open_ms or 0) <= STALL_MS + 50
    assert weighing.open_when_told == [False]


def test_a_flask_that_runs_dry_is_told_with_what_came_out(weighing: Bench) -> None:
    weighing.open(30_000)
    weighing.run(1000)
    weighing.mg_per_s = 0
    weighing.run(STALL_MS + 1500)
    (fact,) = weighing.facts
    assert isinstance(fact, FlaskFailed)
    assert fact.error == "jammed"
    assert fact.dispensed_mg == pytest.approx(5000, abs=20)


def test_a_jam_that_could_not_be_weighed_is_unknown(weighing: Bench) -> None:
    weighing.mg_per_s = 0
    weighing.open(30_000)
    weighing.run(STALL_MS - 50)
    weighing.noise_mg = 190  # not enough to look like a flow
    weighing.run(200)
    weighing.noise_mg = 1000
    weighing.run(5000)
    assert weighing.facts == [FlaskFailed(1, "jammed", None)]


def test_the_button_closes_the_gate_first_and_then_says_stop_and_then_how_it_ended(bench: Bench) -> None:
    bench.open(30_000)
    bench.stop.level = 0
    bench.run(STOP_MS + 50)
    bench.stop.level = 1
    assert not bench.is_open()
    stop, closed = bench.facts
    assert stop == StopPressed()
    assert isinstance(closed, FlaskClosed)
    assert STOP_MS <= closed.open_ms <= STOP_MS + 50
    assert bench.open_when_told == [False, False]


def test_a_very_long_press_opens_the_set_up_with_every_gate_closed(bench: Bench) -> None:
    bench.open(30_000)
    bench.stop.level = 0
    bench.run(SET_UP_MS + 50)
    assert bench.set_ups == 1


def test_wifi_is_not_touched_while_a_gate_is_open(bench: Bench) -> None:
    bench.open(30_000)
    bench.wlan.drop()
    calls = len(bench.wlan.calls)
    bench.run(20_000)
    assert len(bench.wlan.calls) == calls
    bench.run(15_000)
    assert len(bench.wlan.calls) > calls
    assert any("Wi-Fi is up" in line for line in bench.console)


def test_the_watchdog_is_fed_by_the_main_loop_while_the_hardware_is_stepped(bench: Bench) -> None:
    assert bench.wdt.fed > 0
    bench.clock.advance(SILENCE_MS + 1)
    fed = bench.wdt.fed
    bench.hardware.feed()
    assert bench.wdt.fed == fed
    assert "nothing was heard of hardware" in bench.console[-1]
    bench.hardware.step()
    assert bench.wdt.fed == fed
    bench.hardware.feed()
    assert bench.wdt.fed == fed + 1


@pytest.mark.parametrize(
    ("is_up", "shown", "is_open", "is_down", "expected"),
    [
        (True, "online", False, False, "online"),
        (True, "offline", False, False, "offline"),
        (False, "offline", False, False, "no_wifi"),
        (False, "fault", False, False, "fault"),
        (True, "online", True, False, "dispensing"),
        (True, "online", True, True, "pressed"),
    ],
)
def test_the_led_shows_what_is_most_urgent(
    bench: Bench, is_up: bool, shown: str, is_open: bool, is_down: bool, expected: str
) -> None:
    if not is_up:
        bench.wlan.join_ms = None
        bench.wlan.drop()
    bench.hardware.show(shown)
    bench.stop.level = 0 if is_down else 1
    if is_open:
        bench.open(30_000)
    bench.run(50)
    assert bench.hardware._led.pattern == expected
    assert expected in PATTERNS


def test_telemetry_and_the_console_have_what_they_need(bench: Bench) -> None:
    assert bench.hardware.sample() == (-60, 100_000)
    bench.hardware.say("warning", "the salt is low")
    assert bench.console[-1] == f"{bench.clock.ms} warning: the salt is low"
