"""The gates: one servo each, on the channels of the driver. They open for a time and close by themselves.

Three things close a gate, each without the others: a timer for its time, a second timer for the longest opening, and
`check`, called by the main loop. When the driver does not answer, the enable pin takes all pulses away, so that the
springs close the gates.
"""

from firmware.board.pca9685 import CHANNELS, Pca9685

try:
    from typing import Callable

    from machine import Pin, Timer
except ImportError:  # only type checkers look at these
    pass

# A close that fails is tried again at once: one disturbed transfer is no broken driver.
_TRIES = 3

# A driver that failed is asked again this often.
_HEAL_EVERY_MS = 500

# One pulse every 20 ms: a gate that was told to close before the second pulse has not moved.
_NEVER_MOVED_MS = 20

# The longest closing pulse that a configuration can name; a memory that says more is not ours.
_MAX_PULSE_US = 2500

# No closing pulse is known: the output stays off.
_UNKNOWN = b"\0\0"


class Opening:
    """One opening and how it ended. `open_ms` None after `error`: nobody knows how long it was open."""

    __slots__ = ("channel", "closed_us", "due_at_ms", "error", "flask", "is_over", "open_ms", "opened_at_ms")

    def __init__(self, flask: int, channel: int, closed_us: int, due_at_ms: int) -> None:
        self.flask = flask
        self.channel = channel
        self.closed_us = closed_us
        self.due_at_ms = due_at_ms
        self.opened_at_ms = None  # type: int | None
        self.open_ms = None  # type: int | None
        self.error = ""
        self.is_over = False

    def end(self, open_ms: "int | None", error: str) -> None:
        """The gate is closed. A timer and the main loop may both say so: the first word stands."""
        if not self.is_over:
            self.open_ms = open_ms
            self.error = error
            self.is_over = True


class Gates:
    """All gates of a dispenser; one is open at a time.

    `enable` is the driver's OE pin: 1 takes every pulse away. `remember(pulses)` keeps 32 bytes across restarts,
    `pulses` are those kept last: a closing pulse of 2 bytes for each channel, in microseconds, so that a restart can
    close a gate before any configuration is read. `remember` may raise OSError.
    """

    __slots__ = (
        "_close_timer",
        "_driver",
        "_enable",
        "_heal_at_ms",
        "_is_broken",
        "_limit_timer",
        "_now_ms",
        "_opening",
        "_pulses",
        "_remember",
    )

    def __init__(
        self,
        driver: "Pca9685",
        enable: "Pin",
        close_timer: "Timer",
        limit_timer: "Timer",
        now_ms: "Callable[[], int]",
        pulses: bytes,
        remember: "Callable[[bytes], None]",
    ) -> None:
        self._driver = driver
        self._enable = enable
        self._close_timer = close_timer
        self._limit_timer = limit_timer
        self._now_ms = now_ms
        self._pulses = bytearray(pulses if len(pulses) == 2 * CHANNELS else _UNKNOWN * CHANNELS)
        self._remember = remember
        self._opening = None  # type: Opening | None
        self._is_broken = False
        self._heal_at_ms = 0

    def is_open(self) -> bool:
        """A gate is open, or its end was not taken yet."""
        return self._opening is not None

    def is_broken(self) -> bool:
        """The driver does not answer; no pulses go out until it does."""
        return self._is_broken

    def close_all(self) -> None:
        """Close every gate, whatever was open: at boot, and before the program ends. Never raises."""
        opening = self._opening
        if opening is not None:
            self._shut(opening, "")
        self._stop_timers()
        self._enable.value(1)
        self._is_broken = not self._set_all_closed()
        self._heal_at_ms = self._now_ms() + _HEAL_EVERY_MS

    def open(self, flask: int, open_ms: int, limit_ms: int, channel: int, closed_us: int, open_us: int) -> None:
        """Arm both timers, then open. Returns at once; `take` has the end. A gate that is open is closed first."""
        if self._opening is not None:
            self.close_all()
        self._learn(channel, closed_us)
        for_ms = min(open_ms, limit_ms)
        opening = Opening(flask, channel, closed_us, self._now_ms() + for_ms)
        self._opening = opening
        try:
            if self._is_broken or not self._driver.is_set_up():
                self._driver.set_up()
                self._close_known()
                self._is_broken = False
        except OSError:
            self._fail(opening, 0)
            return
        self._enable.value(0)
        opening.due_at_ms = self._now_ms() + for_ms
        self._close_timer.init(mode=self._close_timer.ONE_SHOT, period=for_ms, callback=self._due)
        # Until it is stopped: a tick that came while nothing could be scheduled is made good by the next one.
        self._limit_timer.init(mode=self._limit_timer.PERIODIC, period=limit_ms, callback=self._due)
        begun_at_ms = self._now_ms()
        try:
            self._driver.set_pulse(channel, open_us)
            opening.opened_at_ms = self._now_ms()
            self.check()  # the timers have left the gate alone so far
        except OSError:
            is_shut = self._send_closed(opening)
            if not is_shut:
                self._enable.value(1)
            never_moved = is_shut and self._now_ms() - begun_at_ms < _NEVER_MOVED_MS
            self._fail(opening, 0 if never_moved else None)

    def close(self, flask: int) -> None:
        """Close the gate of this flask now, if it is open."""
        opening = self._opening
        if opening is not None and opening.flask == flask:
            self._shut(opening, "")

    def jam(self, flask: int) -> None:
        """Close the gate of this flask now, for nothing comes out of it."""
        opening = self._opening
        if opening is not None and opening.flask == flask:
            self._shut(opening, "jammed")

    def check(self) -> None:
        """The third guard, and the way back from a driver that failed. To be called every few milliseconds."""
        now_ms = self._now_ms()
        opening = self._opening
        if opening is not None and not opening.is_over and now_ms >= opening.due_at_ms:
            self._shut(opening, "")
        if self._is_broken and opening is None and now_ms >= self._heal_at_ms:
            self._heal_at_ms = now_ms + _HEAL_EVERY_MS
            self._is_broken = not self._set_all_closed()

    def look(self) -> "Opening | None":
        """The opening under way, or the one that ended and was not taken yet."""
        return self._opening

    def take(self) -> "Opening | None":
        """The opening that ended, once."""
        opening = self._opening
        if opening is None or not opening.is_over:
            return None
        self._opening = None
        return opening

    def _due(self, _timer: "Timer") -> None:
        """Called by a timer between any two steps of the main program."""
        opening = self._opening
        if opening is not None and opening.opened_at_ms is not None:
            self._shut(opening, "")

    def _shut(self, opening: Opening, error: str) -> None:
        # A timer can call this while the main loop is in it: then both send the same pulse, which harms nothing.
        if opening.is_over:
            return
        if self._send_closed(opening):
            self._stop_timers()
            opened_at_ms = opening.opened_at_ms
            opening.end(0 if opened_at_ms is None else self._now_ms() - opened_at_ms, error)
        else:
            self._enable.value(1)
            self._fail(opening, None)

    def _fail(self, opening: Opening, open_ms: "int | None") -> None:
        self._stop_timers()
        self._is_broken = True
        self._heal_at_ms = self._now_ms() + _HEAL_EVERY_MS
        opening.end(open_ms, "servo_fault")

    def _send_closed(self, opening: Opening) -> bool:
        for _try in range(_TRIES):
            try:
                self._driver.set_pulse(opening.channel, opening.closed_us)
                return True
            except OSError:
                pass
        return False

    def _set_all_closed(self) -> bool:
        try:
            self._driver.set_up()
            self._close_known()
        except OSError:
            return False
        self._enable.value(0)
        return True

    def _close_known(self) -> None:
        for channel in range(CHANNELS):
            closed_us = self._pulses[2 * channel] << 8 | self._pulses[2 * channel + 1]
            if 0 < closed_us <= _MAX_PULSE_US:
                self._driver.set_pulse(channel, closed_us)

    def _learn(self, channel: int, closed_us: int) -> None:
        known = bytes([closed_us >> 8, closed_us & 0xFF])
        if self._pulses[2 * channel : 2 * channel + 2] != known:
            self._pulses[2 * channel : 2 * channel + 2] = known
            try:
                self._remember(bytes(self._pulses))
            except OSError:
                pass  # a restart will take the pulses of this channel away instead

    def _stop_timers(self) -> None:
        self._close_timer.deinit()
        self._limit_timer.deinit()
