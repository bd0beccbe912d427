"""The hardware of a dispenser in the VM: gates that say when they opened and closed, a button, no lights.

What physically happened goes to the host, line by line: it is the truth that the ledger is held against.
"""

import asyncio
import gc
import time

import _bridge  # type: ignore[import-not-found]  # made in vm.mjs

from firmware.core.ports import FlaskClosed, Port, StopPressed

try:
    from typing import Callable
except ImportError:  # MicroPython has no typing; only type checkers look at this
    pass


class Hardware:
    """As firmware.board.run wants it. `now_ms()` is milliseconds since boot."""

    def __init__(self, tell: "Callable[[Port], None]", now_ms: "Callable[[], int]") -> None:
        self._tell = tell
        self.now_ms = now_ms
        self._flask = 0  # whose gate is open; 0: none
        self._opened_at_ms = 0
        self._due_at_ms = 0
        self._over = None  # type: FlaskClosed | None
        self._is_pressed = False
        self._shown = ""
        self._worked_us = 0
        self._longest_us = 0

    @property
    def is_open(self) -> bool:
        """A gate is open."""
        return self._flask != 0

    def open(self, flask: int, open_ms: int, limit_ms: int, channel: int, closed_us: int, open_us: int) -> None:
        """Arm the close, then open."""
        if self._flask:
            _bridge.say("violation: flask %d opens while flask %d is open" % (flask, self._flask))
        asyncio.create_task(self._timer(min(open_ms, limit_ms)))  # noqa: RUF006  # the VM's loop holds its tasks
        self._flask = flask
        self._worked_us = _bridge.worked_us()
        self._longest_us = 0
        self._opened_at_ms = self.now_ms()
        self._due_at_ms = self._opened_at_ms + min(open_ms, limit_ms)
        _bridge.say("opened %d %d" % (flask, self._opened_at_ms))

    def close(self, flask: int) -> None:
        """Close now, if it is that one."""
        if self._flask and self._flask == flask:
            self._due_at_ms = self.now_ms()
            self._shut()

    def close_all(self) -> None:
        """Close whatever is open."""
        self.close(self._flask)

    def sample(self) -> "tuple[int, int]":
        """A good signal, and the free heap."""
        return -60, gc.mem_free()  # type: ignore[attr-defined]  # MicroPython's

    def say(self, level: str, text: str) -> None:
        """A line for the host."""
        _bridge.say("say %d %s: %s" % (self.now_ms(), level, text))

    def show(self, pattern: str) -> None:
        """A line for the host whenever it changes."""
        if pattern != self._shown:
            self._shown = pattern
            _bridge.say("shows %d %s" % (self.now_ms(), pattern))

    def feed(self) -> None:
        """There is no watchdog: the host waits for lines."""

    def step(self) -> None:
        """Tell what happened."""
        worked_us = _bridge.worked_us()
        self._longest_us = max(self._longest_us, worked_us - self._worked_us)
        self._worked_us = worked_us
        if self._over is not None:
            over, self._over = self._over, None
            self._tell(over)
        if self._is_pressed:
            self._is_pressed = False
            self._tell(StopPressed())

    def press(self) -> None:
        """Someone presses stop."""
        _bridge.say("pressed %d" % self.now_ms())
        self._is_pressed = True

    async def _timer(self, for_ms: int) -> None:
        """The timer of the chip, which does not depend on the main loop. Here it has to wait for the loop's turns."""
        await asyncio.sleep_ms(for_ms)  # type: ignore[attr-defined]  # MicroPython's
        # A close in between, and another opening since, are not this one's to end.
        if self._flask and self.now_ms() >= self._due_at_ms:
            self._shut()

    def _shut(self) -> None:
        now_ms = self.now_ms()
        flask, self._flask = self._flask, 0
        open_ms = now_ms - self._opened_at_ms
        _bridge.say("closed %d %d %d %d" % (flask, open_ms, now_ms - self._due_at_ms, self._longest_us))
        self._over = FlaskClosed(flask, open_ms)


def clock() -> "Callable[[], int]":
    """Milliseconds since now; for less than the six days after which `ticks_ms` wraps."""
    begun = time.ticks_ms()  # type: ignore[attr-defined]  # MicroPython's
    return lambda: time.ticks_diff(time.ticks_ms(), begun)  # type: ignore[attr-defined]  # as above
