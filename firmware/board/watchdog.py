"""The watchdog: a board whose program hangs, or has lost one of its parts, restarts."""

try:
    from machine import WDT
except ImportError:  # only type checkers look at this
    pass

# A name look-up, then a TLS handshake, may block for 20 s in all on a bad network; above that the program hangs.
TIMEOUT_MS = 30_000

# A part that was not heard of for so long has died. MicroPython ends a task that ran out of memory without a word.
SILENCE_MS = 10_000


class Watchdog:
    """`wdt` is a `machine.WDT`, or a fake. It is fed only while every one of `parts` says that it is alive.

    The main loop calls `feed`, so that a main loop that hangs feeds nothing.
    """

    __slots__ = ("_heard_at_ms", "_wdt")

    def __init__(self, wdt: "WDT", parts: "tuple[str, ...]", now_ms: int) -> None:
        self._wdt = wdt
        self._heard_at_ms = {part: now_ms for part in parts}

    def heard(self, part: str, now_ms: int) -> None:
        """This part is alive."""
        self._heard_at_ms[part] = now_ms

    def feed(self, now_ms: int) -> "tuple[str, ...]":
        """Feed the watchdog, unless a part is silent. Returns the parts that are."""
        silent = tuple([part for part, at_ms in self._heard_at_ms.items() if now_ms - at_ms > SILENCE_MS])
        if not silent:
            self._wdt.feed()
        return silent
