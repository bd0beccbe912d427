"""Time goes on where the chip's counter wraps."""

from firmware.board.clock import Clock

WRAP = 1 << 30


def ticks_diff(end: int, start: int) -> int:
    """As MicroPython does it."""
    half = WRAP // 2
    return ((end - start + half) & (WRAP - 1)) - half


def test_it_counts_from_zero_and_on_through_the_wrap() -> None:
    ticks = [WRAP - 10]
    clock = Clock(lambda: ticks[0], ticks_diff)
    assert clock.now_ms() == 0
    ticks[0] = WRAP - 1
    assert clock.now_ms() == 9
    ticks[0] = 5
    assert clock.now_ms() == 15
    assert clock.now_ms() == 15


def test_it_never_goes_back() -> None:
    ticks = [100]
    clock = Clock(lambda: ticks[0], ticks_diff)
    ticks[0] = 90
    assert clock.now_ms() == 0
    ticks[0] = 95
    assert clock.now_ms() == 5
