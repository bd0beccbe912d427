"""When to try the broker again: at most once a second, and spread out, for 10,000 dispensers come back at once."""

try:
    from typing import Callable
except ImportError:  # MicroPython has no typing; only type checkers look at this
    pass

# Whatever happens, attempts are this far apart.
MIN_GAP_MS = 1000
# Full jitter: a random wait of up to a ceiling that doubles with each failure.
FIRST_CEILING_MS = 1000
MAX_CEILING_MS = 30_000
# After a broker ended a session that worked, it most likely ended everybody's: 10,000 come back at 1,000 a second.
CROWD_CEILING_MS = 10_000
# Should the broker not be back by then, the next wait is as long: 1, 2 and 4 s would gather those that tried too soon.
_CROWD_FAILURES = 3
# A refusal that waiting a little does not cure (wrong password, say): once or twice in two minutes.
REFUSED_WAIT_MS = 60_000


class Backoff:
    """The time of the next attempt. Times are `now_ms`; `random_bits(n)` gives n random bits."""

    __slots__ = ("_attempted_at_ms", "_failures", "_random_bits", "due_at_ms")

    def __init__(self, random_bits: "Callable[[int], int]") -> None:
        self._random_bits = random_bits
        self._failures = 0
        self._attempted_at_ms = -MIN_GAP_MS
        self.due_at_ms = 0

    def attempted(self, now_ms: int) -> None:
        """An attempt began."""
        self._attempted_at_ms = now_ms

    def failed(self, now_ms: int) -> None:
        """The attempt, or the connection that came of it, ended. (At boot: as after a first failure.)"""
        self._wait(now_ms, 0, min(MAX_CEILING_MS, FIRST_CEILING_MS << self._failures))
        self._failures = min(self._failures + 1, 5)  # 2 ** 5 seconds is above the ceiling

    def ended(self, now_ms: int) -> None:
        """The broker ended a connection that worked."""
        self._wait(now_ms, 0, CROWD_CEILING_MS)
        self._failures = max(self._failures, _CROWD_FAILURES)

    def refused(self, now_ms: int) -> None:
        """The broker does not want us: wait long."""
        self._wait(now_ms, REFUSED_WAIT_MS, REFUSED_WAIT_MS)

    def again(self, now_ms: int) -> None:
        """We left by ourselves: as soon as allowed."""
        self._wait(now_ms, 0, 0)

    def succeeded(self) -> None:
        """The connection works: the next failure is the first one."""
        self._failures = 0

    def _wait(self, now_ms: int, least_ms: int, ceiling_ms: int) -> None:
        wait_ms = least_ms + self._random_bits(30) % (ceiling_ms + 1)
        self.due_at_ms = max(now_ms + wait_ms, self._attempted_at_ms + MIN_GAP_MS)
