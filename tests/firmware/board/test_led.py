"""The status LED's patterns."""

import re
from itertools import groupby
from pathlib import Path

import pytest

from firmware.board.led import PATTERNS, Led
from tests.firmware.board.chips import Pin

PAGE = Path(__file__).parents[3] / "docs" / "firmware.md"


def watched(led: Led, pin: Pin, from_ms: int, ms: int) -> list[tuple[int, int]]:
    """(level, for how long) as someone sees it."""
    levels = []
    for now_ms in range(from_ms, from_ms + ms, 10):
        led.step(now_ms)
        levels.append(pin.level)
    return [(level, 10 * len(list(run))) for level, run in groupby(levels)]


@pytest.mark.parametrize("name", PATTERNS)
def test_a_pattern_is_shown_as_its_table_says_and_again(name: str) -> None:
    pin = Pin(0)
    led = Led(pin)
    led.show(name, 5000)
    once = [(1 - position % 2, ms) for position, ms in enumerate(PATTERNS[name]) if ms]
    expected = [*once, *once] if len(once) > 1 else [(1, 2 * once[0][1])]
    assert watched(led, pin, 5000, 2 * sum(PATTERNS[name])) == expected


def test_the_same_pattern_again_goes_on_where_it_was() -> None:
    pin = Pin(0)
    led = Led(pin)
    led.show("offline", 0)
    led.show("offline", 600)
    assert pin.level == 0


def test_a_pattern_that_does_not_exist_shows_as_a_fault() -> None:
    pin = Pin(0)
    led = Led(pin)
    led.show("no such pattern", 0)
    assert watched(led, pin, 0, 200) == [(1, 100), (0, 100)]


def test_the_pin_is_driven_only_when_it_changes() -> None:
    pin = Pin(0)
    led = Led(pin)
    led.show("starting", 0)
    watched(led, pin, 0, 3000)
    assert pin.driven == [1]


def test_no_two_patterns_look_alike() -> None:
    assert len(set(PATTERNS.values())) == len(PATTERNS)


def test_the_page_explains_every_pattern() -> None:
    table = PAGE.read_text(encoding="utf-8").split("## The status LED")[1].split("\n## ")[0]
    assert set(re.findall(r"^\| `([a-z_]+)`", table, re.MULTILINE)) == set(PATTERNS)
