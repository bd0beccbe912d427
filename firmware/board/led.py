"""The status LED: one pattern at a time says how the dispenser is."""

try:
    from machine import Pin
except ImportError:  # only type checkers look at this
    pass

# Each pattern: milliseconds on, off, on, off … from the start; then again. What to do about it is in docs/firmware.md.
PATTERNS = {
    "starting": (1000, 0),
    "online": (50, 2950),
    "offline": (500, 500),
    "no_wifi": (100, 100, 100, 700),
    "dispensing": (900, 100),
    "fault": (100, 100),
    "set_up": (100, 100, 100, 100, 100, 500),
    "pressed": (50, 50),
}


class Led:
    """`pin` is on at 1. A pattern that does not exist shows as `fault`."""

    __slots__ = ("_pattern", "_pin", "_shown", "_since_ms", "pattern")

    def __init__(self, pin: "Pin") -> None:
        self._pin = pin
        self._shown = -1
        self.pattern = ""
        self._pattern = PATTERNS["starting"]
        self._since_ms = 0

    def show(self, pattern: str, now_ms: int) -> None:
        """Show this pattern from its beginning, or go on with it."""
        if pattern != self.pattern:
            self.pattern = pattern
            self._pattern = PATTERNS.get(pattern, PATTERNS["fault"])
            self._since_ms = now_ms
        self.step(now_ms)

    def step(self, now_ms: int) -> None:
        """To be called every few milliseconds."""
        into_ms = (now_ms - self._since_ms) % sum(self._pattern)
        level = 1
        for for_ms in self._pattern:
            if into_ms < for_ms:
                break
            into_ms -= for_ms
            level = 1 - level
        if level != self._shown:
            self._shown = level
            self._pin.value(level)
