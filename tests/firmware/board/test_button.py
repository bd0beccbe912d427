"""How long a press is, and what it means."""

import pytest

from firmware.board.button import SET_UP, SET_UP_MS, STOP, STOP_MS, Button
from tests.firmware.board.chips import Pin


class Finger:
    """Presses a button and hears what it says."""

    def __init__(self, level: int = 1) -> None:
        self.pin = Pin(level)
        self.button = Button(self.pin)
        self.ms = 0

    def hold(self, level: int, ms: int) -> list[str]:
        self.pin.level = level
        said = []
        for _ms in range(0, ms, 10):
            self.ms += 10
            said.append(self.button.poll(self.ms))
        return [word for word in said if word]


@pytest.fixture
def finger() -> Finger:
    finger = Finger()
    finger.hold(1, 100)
    return finger


def test_a_short_press_says_nothing(finger: Finger) -> None:
    assert finger.hold(0, STOP_MS - 50) == []
    assert finger.button.is_down()
    assert finger.hold(1, 500) == []
    assert not finger.button.is_down()


def test_a_long_press_stops_as_soon_as_it_is_long_and_once(finger: Finger) -> None:
    assert finger.hold(0, STOP_MS + 20) == [STOP]
    assert finger.hold(0, SET_UP_MS - STOP_MS - 100) == []
    assert finger.hold(1, 500) == []
    assert finger.hold(0, STOP_MS + 20) == [STOP]


def test_a_very_long_press_stops_and_then_opens_the_set_up_once(finger: Finger) -> None:
    assert finger.hold(0, SET_UP_MS + 20) == [STOP, SET_UP]
    assert finger.hold(0, 3 * SET_UP_MS) == []


def test_bouncing_contacts_are_no_press(finger: Finger) -> None:
    for _bounce in range(200):
        assert finger.hold(0, 10) == []
        assert finger.hold(1, 10) == []
    assert not finger.button.is_down()


def test_a_bounce_on_release_and_press_starts_the_press_anew(finger: Finger) -> None:
    assert finger.hold(0, STOP_MS - 100) == []
    assert finger.hold(1, 50) == []
    assert finger.hold(0, STOP_MS - 100) == []


def test_a_button_that_is_down_since_boot_says_nothing_until_it_was_released() -> None:
    stuck = Finger(level=0)
    assert stuck.hold(0, 2 * SET_UP_MS) == []
    assert not stuck.button.is_down()
    stuck.hold(1, 100)
    assert stuck.hold(0, STOP_MS + 20) == [STOP]
