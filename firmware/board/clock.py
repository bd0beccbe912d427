"""Milliseconds since boot that never go back."""

try:
    from typing import Callable
except ImportError:  # MicroPython has no typing; only type checkers look at this
    pass


class Clock:
    """Counts on where `ticks_ms` wraps (after 12 days on the ESP32). To be read at least once in 6 days.

    The arguments are the functions of these names in MicroPython's `time`.
    """

    __slots__ = ("_now_ms", "_ticks", "_ticks_diff", "_ticks_ms")

    def __init__(self, ticks_ms: "Callable[[], int]", ticks_diff: "Callable[[int, int], int]") -> None:
        self._ticks_ms = ticks_ms
        self._ticks_diff = ticks_diff
        self._ticks = ticks_ms()
        self._now_ms = 0

    def now_ms(self) -> int:
        ticks = self._ticks_ms()
        self._now_ms += max(0, self._ticks_diff(ticks, self._ticks))
        self._ticks = ticks
        return self._now_ms
