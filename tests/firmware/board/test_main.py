"""A boot, and all the ways in which it ends: every gate is closed in each."""

import importlib
import sys
from collections.abc import Callable
from types import ModuleType

import pytest

from firmware.board import store as kept_as
from firmware.board.settings import Settings
from firmware.board.store import Store
from firmware.board.watchdog import TIMEOUT_MS
from tests.firmware.board.esp32 import Chip, Restarted, module

KEPT = Settings("Kitchen", "longenough", "pitada.local", 1883, "", "kitchen", "secret", 0)

# What a run may end with; the board restarts after each.
ENDS = [ValueError("what"), MemoryError(), OSError(5, "EIO")]


class Loop:
    """Stands for the loop of firmware/board/run.py: opens a gate, then does what the test says."""

    def __init__(self, chip: Chip) -> None:
        self.chip = chip
        self.then: Callable[[], None] = lambda: None
        self.was_open = False
        self.reset_cause = ""
        self.made: tuple[object, ...] = ()

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        loop = self

        class Board:
            def __init__(self, *parts: object) -> None:
                loop.made = parts
                self._hardware = parts[2]

            async def run(self, reset_cause: str) -> None:
                loop.reset_cause = reset_cause
                self._hardware.step()  # type: ignore[attr-defined]  # the real one
                self._hardware.feed()  # type: ignore[attr-defined]
                self._hardware.open(1, 60_000, 60_000, 4, 1000, 2000)  # type: ignore[attr-defined]
                loop.was_open = loop.chip.driver.pulse_us(4) > 1500
                loop.then()

        class Facts:
            def tell(self, fact: object) -> None:
                pass

        def anything(*_parts: object) -> object:
            return object()

        for name, made in {
            "run": module("run", Board=Board, Facts=Facts),
            "stream": module("stream", Stream=anything),
            "flash": module("flash", Flash=anything),
        }.items():
            monkeypatch.setitem(sys.modules, f"firmware.board.{name}", made)


@pytest.fixture
def chip(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> Chip:
    monkeypatch.chdir(str(tmp_path))
    chip = Chip()
    chip.install(monkeypatch)
    return chip


@pytest.fixture
def loop(chip: Chip, monkeypatch: pytest.MonkeyPatch) -> Loop:
    loop = Loop(chip)
    loop.install(monkeypatch)
    return loop


@pytest.fixture
def main(chip: Chip, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    main = importlib.import_module("firmware.board.main")
    monkeypatch.setattr(main, "_BEFORE_RESTART_S", 0)
    return main


def is_closed(chip: Chip) -> bool:
    return chip.driver.pulse_us(4) < 1500


def fails(error: BaseException) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


@pytest.mark.parametrize("end", ENDS, ids=repr)
def test_an_error_closes_the_gates_is_shown_and_restarts_the_board(
    chip: Chip, loop: Loop, main: ModuleType, end: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    Store(chip.nvs).keep_settings(KEPT)
    loop.then = fails(end)
    with pytest.raises(Restarted):
        main.main()
    assert loop.was_open
    assert is_closed(chip)
    assert repr(end) in capsys.readouterr().out


def test_a_loop_that_just_ends_restarts_the_board_too(chip: Chip, loop: Loop, main: ModuleType) -> None:
    Store(chip.nvs).keep_settings(KEPT)
    chip.reset_cause = 3
    with pytest.raises(Restarted):
        main.main()
    assert loop.was_open
    assert is_closed(chip)
    assert loop.reset_cause == "watchdog"
    assert chip.watchdogs == [TIMEOUT_MS]


def test_an_interrupt_at_the_console_closes_the_gates_and_leaves_the_console(
    chip: Chip, loop: Loop, main: ModuleType
) -> None:
    Store(chip.nvs).keep_settings(KEPT)
    loop.then = fails(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        main.main()
    assert loop.was_open
    assert is_closed(chip)


def test_a_gate_that_a_restart_left_open_is_closed_before_anything_else(
    chip: Chip, loop: Loop, main: ModuleType
) -> None:
    Store(chip.nvs).keep_settings(KEPT)
    loop.then = fails(OSError(5, "EIO"))
    with pytest.raises(Restarted):
        main.main()
    # The board restarts; the driver kept its power and sends the open pulse.
    chip.driver.registers[0x06 + 16 : 0x06 + 20] = bytes([0, 0, 0x9A, 0x01])
    assert not is_closed(chip)
    kept = Store(chip.nvs)
    kept.want(kept_as.SERVICE)
    main.main()
    assert is_closed(chip)
    assert chip.driver.pulse_us(4) > 500


def test_a_board_whose_nvs_is_broken_sends_no_pulses_and_tries_again(
    chip: Chip, main: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    chip.driver.write(0x00, bytes([0x20]))
    chip.driver.write(0x06 + 16, bytes([0, 0, 0x9A, 0x01]))
    chip.pin(19).level = 0
    assert chip.driver.pulse_us(4) > 0
    chip.nvs_fails = True
    with pytest.raises(Restarted):
        main.main()
    assert chip.driver.pulse_us(4) == 0
    assert "NOT_INITIALIZED" in capsys.readouterr().out


def test_service_leaves_the_board_to_the_console_without_a_watchdog_and_once(
    chip: Chip, loop: Loop, main: ModuleType
) -> None:
    kept = Store(chip.nvs)
    kept.keep_settings(KEPT)
    kept.want(kept_as.SERVICE)
    main.main()
    assert chip.watchdogs == []
    assert not loop.made
    with pytest.raises(Restarted):
        main.main()
    assert loop.made


@pytest.mark.parametrize("is_wanted", [False, True])
def test_a_board_without_settings_or_with_a_wish_opens_the_set_up(
    chip: Chip, main: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], is_wanted: bool
) -> None:
    asked: list[tuple[object, ...]] = []

    async def ask(*parts: object) -> None:
        asked.append(parts)

    monkeypatch.setattr("firmware.board.set_up.ask", ask)
    if is_wanted:
        Store(chip.nvs).keep_settings(KEPT)
        Store(chip.nvs).want(kept_as.SET_UP)
    with pytest.raises(Restarted):
        main.main()
    assert asked[0][3:5] == ("pitada-3fa2", "192.168.4.1")
    password = chip.radio["ap key"]
    assert f"join the Wi-Fi pitada-3fa2 with the password {password}" in capsys.readouterr().out
    assert chip.watchdogs == []


def test_the_label_is_the_same_each_time(chip: Chip, main: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    main.label()
    main.label()
    first, second = capsys.readouterr().out.splitlines()
    assert first == second
    assert first.split()[:2] == ["label", "pitada-3fa2"]


def test_a_wifi_that_never_lets_it_in_is_asked_for_again(
    chip: Chip, loop: Loop, main: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    import asyncio

    Store(chip.nvs).keep_settings(KEPT)
    seconds: list[float] = []

    async def sleep(pause_s: float) -> None:
        seconds.append(pause_s)

    class Hardware:
        class wifi:  # noqa: N801  # stands for an attribute
            problem = 201

            @staticmethod
            def is_up() -> bool:
                return False

        looks = 3

        def is_dispensing(self) -> bool:
            self.looks -= 1
            return self.looks > 0

    hardware = Hardware()
    monkeypatch.setattr(asyncio, "sleep", sleep)
    with pytest.raises(Restarted):
        asyncio.run(main._prove(Store(chip.nvs), hardware))
    assert sum(seconds) == 122
    assert not hardware.is_dispensing()
    assert Store(chip.nvs).take_wanted() == kept_as.SET_UP
    assert Store(chip.nvs).problem() == 201
