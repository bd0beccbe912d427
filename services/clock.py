"""The one place where the services' wall clock is read; everything else is given `now_ms`."""

import time


def now_ms() -> int:
    """Unix time in milliseconds."""
    return time.time_ns() // 1_000_000
