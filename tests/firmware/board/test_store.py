"""What NVS keeps, and what a power cut in the middle of it leaves."""

import pytest

from firmware.board.settings import Settings
from firmware.board.store import RUN, SERVICE, SET_UP, Store

SETTINGS = Settings("Kitchen", "longenough", "pitada.local", 1883, "", "kitchen", "secret", 0)
NOT_FOUND = "ESP_ERR_NVS_NOT_FOUND"


class Nvs:
    """esp32.NVS: numbers and blobs by name, up to 15 characters; written at `commit`. Power may go before a write."""

    def __init__(self) -> None:
        self.flash: dict[str, int | bytes] = {}
        self.writes_left: int | None = None

    def get_i32(self, name: str) -> int:
        value = self.flash.get(name)
        if not isinstance(value, int):
            raise OSError(-4354, NOT_FOUND)
        return value

    def set_i32(self, name: str, value: int) -> None:
        assert -(2**31) <= value < 2**31
        self._write(name, value)

    def get_blob(self, name: str, buffer: bytearray) -> int:
        value = self.flash.get(name)
        if not isinstance(value, bytes):
            raise OSError(-4354, NOT_FOUND)
        if len(value) > len(buffer):
            raise OSError(-4364, "ESP_ERR_NVS_INVALID_LENGTH")
        buffer[: len(value)] = value
        return len(value)

    def set_blob(self, name: str, value: bytes) -> None:
        assert value
        self._write(name, bytes(value))

    def commit(self) -> None:
        pass  # each write is in flash already, as in ESP-IDF

    def _write(self, name: str, value: int | bytes) -> None:
        assert 0 < len(name) <= 15
        if self.writes_left == 0:
            raise PowerCut
        if self.writes_left is not None:
            self.writes_left -= 1
        self.flash[name] = value


class PowerCut(BaseException):
    """Nothing of the program goes on."""


@pytest.fixture
def nvs() -> Nvs:
    return Nvs()


@pytest.fixture
def store(nvs: Nvs) -> Store:
    return Store(nvs)


def test_a_new_board_knows_nothing(store: Store) -> None:
    assert store.settings() is None
    assert store.take_wanted() == RUN
    assert store.problem() == 0
    assert store.pulses() == b""
    assert not store.are_proved()


def test_settings_come_back_and_have_yet_to_prove_themselves(store: Store) -> None:
    store.keep_settings(SETTINGS)
    kept = store.settings()
    assert kept is not None
    assert kept.to_bytes() == SETTINGS.to_bytes()
    assert not store.are_proved()
    store.keep_proved()
    assert store.are_proved()
    store.keep_settings(SETTINGS)
    assert not store.are_proved()


@pytest.mark.parametrize("damage", [b"\xff\xff", b"{}", b"x" * 6000])
def test_damaged_settings_ask_for_a_set_up(nvs: Nvs, store: Store, damage: bytes) -> None:
    nvs.flash["settings"] = damage
    assert store.settings() is None


@pytest.mark.parametrize("what", [SET_UP, SERVICE])
def test_what_the_next_boot_is_for_holds_for_one_boot(store: Store, what: int) -> None:
    store.want(what, 202)
    assert store.problem() == 202
    assert store.take_wanted() == what
    assert store.take_wanted() == RUN


def test_a_wish_that_nobody_made_is_none(nvs: Nvs, store: Store) -> None:
    nvs.flash["wanted"] = 77
    assert store.take_wanted() == RUN


def test_new_settings_forget_the_old_problem(store: Store) -> None:
    store.want(SET_UP, 201)
    store.keep_settings(SETTINGS)
    assert store.problem() == 0


def test_the_label_is_made_once_and_is_a_wifi_password(store: Store) -> None:
    password = store.label_password(lambda count: bytes(range(count)))
    assert 8 <= len(password) <= 63
    assert not set(password) & set("il1o0")
    assert store.label_password(lambda count: b"\xff" * count) == password


@pytest.mark.parametrize("writes", range(6))
def test_a_power_cut_leaves_old_settings_or_new_ones(nvs: Nvs, store: Store, writes: int) -> None:
    store.keep_settings(SETTINGS)
    new = Settings("Other", "longenough", "pitada.local", 1883, "", "kitchen", "secret", 0)
    nvs.writes_left = writes
    try:
        store.keep_settings(new)
    except PowerCut:
        assert writes < 3
    kept = Store(nvs).settings()
    assert kept is not None
    assert kept.ssid == ("Other" if writes else "Kitchen")


def test_closing_pulses_come_back(store: Store) -> None:
    store.keep_pulses(b"\x03\xe8" * 16)
    assert store.pulses() == b"\x03\xe8" * 16
