"""All hardware of a dispenser as one object, for the loop that runs the core.

Nothing here waits: `step` does what is due, and is to be called every 10 ms or so.
"""

from firmware.board.button import SET_UP, STOP, Button
from firmware.board.gates import Gates, Opening
from firmware.board.led import Led
from firmware.board.scale import Scale
from firmware.board.watchdog import Watchdog
from firmware.board.wifi import Wifi
from firmware.core.ports import FlaskClosed, FlaskFailed, Port, StopPressed

try:
    from typing import Callable
except ImportError:  # MicroPython has no typing; only type checkers look at this
    pass

# This part's name for the watchdog.
PART = "hardware"


class Hardware:
    """`tell(fact)` hears how openings ended and that someone pressed stop; it is called from within `step` alone.

    `scale` is None where there is no load cell. `set_up()` restarts the board into its Wi-Fi set-up; `write(line)`
    is the console.
    """

    __slots__ = (
        "_button",
        "_free_heap",
        "_gates",
        "_is_poured",
        "_led",
        "_now_ms",
        "_scale",
        "_set_up",
        "_shown",
        "_tell",
        "_watchdog",
        "_write",
        "wifi",
    )

    def __init__(
        self,
        tell: "Callable[[Port], None]",
        gates: "Gates",
        scale: "Scale | None",
        button: "Button",
        led: "Led",
        watchdog: "Watchdog",
        wifi: "Wifi",
        now_ms: "Callable[[], int]",
        free_heap: "Callable[[], int]",
        set_up: "Callable[[], None]",
        write: "Callable[[str], None]",
    ) -> None:
        self._tell = tell
        self._gates = gates
        self._scale = scale
        self._button = button
        self._led = led
        self._watchdog = watchdog
        self.wifi = wifi
        self._now_ms = now_ms
        self._free_heap = free_heap
        self._set_up = set_up
        self._write = write
        self._shown = "starting"
        self._is_poured = False

    def open(self, flask: int, open_ms: int, limit_ms: int, channel: int, closed_us: int, open_us: int) -> None:
        """Open the flask's gate for `open_ms`, at most `limit_ms`. How it ended comes as a fact."""
        self._is_poured = False
        if self._scale is not None:
            self._scale.begin()
        self._gates.open(flask, open_ms, limit_ms, channel, closed_us, open_us)

    def close(self, flask: int) -> None:
        """Close the flask's gate now. How it ended comes as a fact."""
        self._gates.close(flask)

    def close_all(self) -> None:
        """Close every gate. Never raises."""
        self._gates.close_all()

    def is_dispensing(self) -> bool:
        """A gate is open, or its end was not told yet: nothing that blocks may start."""
        return self._gates.is_open()

    def sample(self) -> "tuple[int, int]":
        """The Wi-Fi signal in dBm, and the free heap in bytes."""
        return self.wifi.rssi_dbm(), self._free_heap()

    def say(self, level: str, text: str) -> None:
        """A line on the console, with the milliseconds since boot."""
        self._write(f"{self._now_ms()} {level}: {text}")

    def show(self, pattern: str) -> None:
        """What the LED shows while there is nothing more urgent to show."""
        self._shown = pattern

    def feed(self) -> None:
        """The main loop is alive. The watchdog hears of it as long as this object is stepped too."""
        silent = self._watchdog.feed(self._now_ms())
        if silent:
            self.say("error", f"the watchdog will restart the board: nothing was heard of {', '.join(silent)}")

    def step(self) -> None:
        """Do what is due."""
        now_ms = self._now_ms()
        self._watchdog.heard(PART, now_ms)
        self._gates.check()
        if self._scale is not None:
            self._weigh(self._scale)
        self._press(now_ms)
        self._finish()
        if self.wifi.step(now_ms, self.is_dispensing()):
            self.say("info", "Wi-Fi is up")
        self._led.show(self._pattern(), now_ms)

    def _weigh(self, scale: "Scale") -> None:
        scale.poll()
        opening = self._gates.look()
        if opening is not None and not opening.is_over and scale.is_stalled():
            self._gates.jam(opening.flask)

    def _press(self, now_ms: int) -> None:
        pressed = self._button.poll(now_ms)
        if pressed == STOP:
            opening = self._gates.look()
            if opening is not None:
                self._gates.close(opening.flask)  # first the gate, then the words
            self._tell(StopPressed())
        elif pressed == SET_UP:
            self.close_all()
            self._set_up()

    def _finish(self) -> None:
        """Tell how the opening ended, once the load cell has its word."""
        opening = self._gates.look()
        if opening is None or not opening.is_over:
            return
        weighed_mg = None  # type: int | None
        scale = self._scale
        if scale is not None:
            if not self._is_poured:
                self._is_poured = True
                scale.end()
            if not scale.has_settled():
                return
            weighed_mg = scale.weighed_mg()
        self._gates.take()
        self._tell(_fact(opening, weighed_mg))

    def _pattern(self) -> str:
        if self._button.is_down():
            return "pressed"
        if self._gates.is_broken():
            return "fault"
        if self._gates.is_open():
            return "dispensing"
        return self._shown if self.wifi.is_up() or self._shown == "fault" else "no_wifi"


def _fact(opening: "Opening", weighed_mg: "int | None") -> "Port":
    if not opening.error:
        return FlaskClosed(opening.flask, opening.open_ms or 0, weighed_mg)
    if opening.error == "jammed" and weighed_mg is None:
        # The load cell saw that nothing came for STALL_MS, and fell silent since. How much came before, nobody knows.
        return FlaskFailed(opening.flask, opening.error, None)
    return FlaskFailed(opening.flask, opening.error, opening.open_ms, weighed_mg)
