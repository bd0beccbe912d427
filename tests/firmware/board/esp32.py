"""`machine`, `network`, `esp32` and the rest of what CPython lacks, as modules, with fakes of what is in them."""

import gc
import sys
import time
from collections.abc import Callable
from types import ModuleType

import pytest

import firmware.board
from tests.firmware.board import chips
from tests.firmware.board.test_store import Nvs

EPOCH_S = 946_684_800


class Restarted(BaseException):
    """machine.reset() was called: nothing of the program goes on."""


class Chip:
    """One board: its pins by number, what hangs on its I2C, its NVS and its radio."""

    def __init__(self) -> None:
        self.clock = chips.Clock()
        self.pins: dict[int, Pin] = {}
        self.nvs = Nvs()
        self.nvs_fails = False
        self.reset_cause = 1
        self.networks: list[tuple[bytes, bytes, int, int, int, int]] = []
        self.radio_fails = False
        self.radio: dict[str, object] = {}
        self.rtc_s = 0
        self.ntp_s: int | None = None
        self.watchdogs: list[int] = []
        self.irq_is_on = True
        self.driver = chips.ServoDriver(self.pin(19))
        self.bus = chips.I2C({0x40: self.driver})

    def pin(self, number: int) -> "Pin":
        return self.pins.setdefault(number, Pin())

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Make `import machine` and the like find this chip, for as long as the test lasts."""
        modules = {
            "machine": self._machine(),
            "network": module("network", WLAN=self._wlan(), hostname=self._hostname),
            "esp32": module("esp32", NVS=self._open_nvs),
            "ntptime": module("ntptime", settime=self._settime, timeout=1),
        }
        for name, one in modules.items():
            monkeypatch.setitem(sys.modules, name, one)
        monkeypatch.setattr(time, "ticks_ms", self.clock.now_ms, raising=False)
        monkeypatch.setattr(time, "ticks_diff", lambda end, start: end - start, raising=False)
        monkeypatch.setattr(time, "time", lambda: self.rtc_s)
        gmtime = time.gmtime
        monkeypatch.setattr(time, "gmtime", lambda at_s: gmtime(at_s + EPOCH_S))
        monkeypatch.setattr(sys, "print_exception", lambda error: sys.stdout.write(f"{error!r}\n"), raising=False)
        monkeypatch.setattr(gc, "mem_free", lambda: 100_000, raising=False)
        for name in ("chip", "main"):
            monkeypatch.delitem(sys.modules, f"firmware.board.{name}", raising=False)
            monkeypatch.delattr(firmware.board, name, raising=False)

    def _machine(self) -> ModuleType:
        def pin(number: int, mode: int = 0, pull: int = -1, value: int | None = None) -> Pin:
            one = self.pin(number)
            if value is not None:
                one.value(value)
            return one

        class Makes:
            """machine.Pin, which is called and has names."""

            IN, OUT, PULL_UP = 1, 3, 2

            def __call__(self, number: int, mode: int = 0, pull: int = -1, value: int | None = None) -> Pin:
                return pin(number, mode, pull, value)

        def disable_irq() -> bool:
            before, self.irq_is_on = self.irq_is_on, False
            return before

        def enable_irq(state: bool) -> None:
            self.irq_is_on = state

        def reset() -> None:
            raise Restarted

        return module(
            "machine",
            Pin=Makes(),
            I2C=lambda _id, **_pins: self.bus,
            Timer=lambda _id: chips.Timer(self.clock),
            WDT=self._wdt,
            RTC=lambda: Rtc(self),
            PWRON_RESET=1,
            HARD_RESET=2,
            WDT_RESET=3,
            DEEPSLEEP_RESET=4,
            SOFT_RESET=5,
            reset_cause=lambda: self.reset_cause,
            unique_id=lambda: bytes.fromhex("240ac4003fa2"),
            disable_irq=disable_irq,
            enable_irq=enable_irq,
            reset=reset,
        )

    def _open_nvs(self, _namespace: str) -> Nvs:
        if self.nvs_fails:
            raise OSError(-4357, "ESP_ERR_NVS_NOT_INITIALIZED")
        return self.nvs

    def _wdt(self, timeout: int) -> "Wdt":
        self.watchdogs.append(timeout)
        return Wdt()

    def _wlan(self) -> Callable[[int], "Wlan"]:
        class Makes:
            """network.WLAN, which is called and has names."""

            IF_STA, IF_AP, SEC_WPA2 = 0, 1, 3

            def __call__(inner, interface: int) -> Wlan:  # noqa: N805  # `self` is the chip
                return Wlan(self, "sta" if interface == 0 else "ap")

        return Makes()

    def _hostname(self, name: str) -> None:
        self.radio["hostname"] = name

    def _settime(self) -> None:
        if self.ntp_s is None:
            raise OSError(110, "ETIMEDOUT")
        self.rtc_s = self.ntp_s - EPOCH_S


class Pin(chips.Pin):
    """A pin that holds what it was driven to, and is high before."""


class Wdt:
    def feed(self) -> None:
        pass


class Rtc:
    """machine.RTC."""

    def __init__(self, chip: Chip) -> None:
        self._chip = chip

    def datetime(self, at: tuple[int, int, int, int, int, int, int, int]) -> None:
        import calendar

        year, month, day, _weekday, hour, minute, second, _subsecond = at
        self._chip.rtc_s = calendar.timegm((year, month, day, hour, minute, second)) - EPOCH_S


class Wlan:
    """network.WLAN, as far as its calls are remembered."""

    def __init__(self, chip: Chip, name: str) -> None:
        self._chip = chip
        self._name = name

    def active(self, is_active: bool) -> None:
        self._chip.radio[f"{self._name} active"] = is_active

    def config(self, **settings: object) -> None:
        for name, value in settings.items():
            self._chip.radio[f"{self._name} {name}"] = value

    def scan(self) -> list[tuple[bytes, bytes, int, int, int, int]]:
        if self._chip.radio_fails:
            raise OSError("Wifi Internal Error")
        return self._chip.networks

    def ifconfig(self) -> tuple[str, str, str, str]:
        return ("192.168.4.1", "255.255.255.0", "192.168.4.1", "192.168.4.1")

    def isconnected(self) -> bool:
        return False

    def connect(self, ssid: str, password: str) -> None:
        self._chip.radio[f"{self._name} joining"] = (ssid, password)


def module(name: str, **values: object) -> ModuleType:
    made = ModuleType(name)
    for key, value in values.items():
        setattr(made, key, value)
    return made
