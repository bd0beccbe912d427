"""The thin part that speaks to the ESP32, against modules that stand in for it."""

import importlib
import ssl
from types import ModuleType

import pytest

from firmware.board.store import Store
from protocol.messages import RESET_CAUSES
from tests.firmware.board.esp32 import EPOCH_S, Chip
from tests.firmware.board.test_store import Nvs

NOW_S = 1_764_000_000


@pytest.fixture
def board() -> Chip:
    return Chip()


@pytest.fixture
def chip(board: Chip, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    board.install(monkeypatch)
    return importlib.import_module("firmware.board.chip")


def test_no_pulse_goes_out_before_the_gates_are_closed(board: Chip, chip: ModuleType) -> None:
    gates = chip.gates(chip.silence(), Store(Nvs()), board.clock.now_ms)
    assert board.pin(19).driven == [1]
    gates.close_all()
    assert board.pin(19).level == 0


def test_every_reset_cause_is_one_that_status_may_report(board: Chip, chip: ModuleType) -> None:
    said = []
    for cause in range(9):
        board.reset_cause = cause
        said.append(chip.reset_cause())
    assert said[1:6] == ["power_on", "reset", "watchdog", "deep_sleep", "soft"]
    assert set(said) <= set(RESET_CAUSES)


def test_without_counts_a_gram_there_is_no_load_cell(board: Chip, chip: ModuleType) -> None:
    assert chip.scale(0, board.clock.now_ms) is None
    assert chip.scale(420, board.clock.now_ms) is not None


def test_the_load_cell_is_read_with_interrupts_off_and_on_again(board: Chip, chip: ModuleType) -> None:
    board.pin(32).level = 0
    levels: list[bool] = []
    clock = board.pin(33)

    def value(level: int | None = None) -> int:
        levels.append(board.irq_is_on)
        return 0

    converter = chip.converter()
    clock.value = value  # type: ignore[method-assign]  # looks at what else is the case
    assert converter.read() == 0
    assert levels == [False] * 50
    assert board.irq_is_on


def test_networks_are_named_once_the_strongest_first(board: Chip, chip: ModuleType) -> None:
    def found(name: bytes, dbm: int) -> tuple[bytes, bytes, int, int, int, int]:
        return (name, b"", 1, dbm, 3, 0)

    board.networks = [
        found(b"Far", -90),
        found(b"Near", -40),
        found(b"", -30),
        found(b"Near", -70),
        found(b"\xff", -50),
    ]
    assert chip.networks() == ["Near", "Far"]
    board.radio_fails = True
    assert chip.networks() == []
    assert board.radio["sta active"] is False


def test_the_set_up_network_has_a_password(board: Chip, chip: ModuleType) -> None:
    assert chip.label() == "pitada-3fa2"
    assert chip.access_point("pitada-3fa2", "abcdefgh23") == "192.168.4.1"
    assert (board.radio["ap ssid"], board.radio["ap key"], board.radio["ap security"]) == (
        "pitada-3fa2",
        "abcdefgh23",
        3,
    )


def test_the_radio_does_not_try_by_itself_and_has_the_dispensers_name(board: Chip, chip: ModuleType) -> None:
    chip.wifi("Kitchen", "secret", "line-1")
    assert board.radio == {"hostname": "line-1", "sta active": True, "sta reconnects": 0}


def test_the_clock_is_set_forward_only(board: Chip, chip: ModuleType) -> None:
    chip.set_clock(0)
    assert board.rtc_s == 0
    chip.set_clock(NOW_S)
    assert board.rtc_s == NOW_S - EPOCH_S
    chip.set_clock(NOW_S - 1000)
    assert board.rtc_s == NOW_S - EPOCH_S


def test_the_networks_clock_is_taken_when_it_answers(board: Chip, chip: ModuleType) -> None:
    assert chip.ask_clock() == 0
    board.ntp_s = NOW_S
    assert chip.ask_clock() == NOW_S


def test_encryption_always_asks_for_a_certificate(chip: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[object] = []

    class Context:
        verify_mode = ssl.CERT_NONE

        def __init__(self, protocol: int) -> None:
            assert protocol == ssl.PROTOCOL_TLS_CLIENT

        def load_verify_locations(self, cadata: object) -> None:
            loaded.append(cadata)

    monkeypatch.setattr(ssl, "SSLContext", Context)
    assert chip.tls("") is None
    assert chip.tls("PEM").verify_mode == ssl.CERT_REQUIRED
    assert loaded == [b"PEM"]


def test_random_bits_are_as_many_as_asked(chip: ModuleType) -> None:
    for count in (1, 8, 30, 32):
        assert all(0 <= chip.random_bits(count) < 1 << count for _time in range(200))
