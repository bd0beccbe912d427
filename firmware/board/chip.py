"""The ESP32 itself: everything that `machine`, `network` and `esp32` are needed for, and nothing else."""

import os
import ssl
import time

import machine
import network
import ntptime
from esp32 import NVS
from machine import I2C, WDT, Pin, Timer
from network import WLAN

from firmware.board.button import Button
from firmware.board.clock import Clock
from firmware.board.gates import Gates
from firmware.board.led import Led
from firmware.board.pca9685 import Pca9685
from firmware.board.pins import BUTTON, ENABLE, I2C_HZ, LED, SCALE_CLOCK, SCALE_DATA, SCL, SDA
from firmware.board.scale import Hx711, Scale
from firmware.board.store import NAMESPACE, Store
from firmware.board.watchdog import TIMEOUT_MS, Watchdog
from firmware.board.wifi import Wifi

try:
    from typing import Callable
except ImportError:  # MicroPython has no typing; only type checkers look at this
    pass

_RESET_CAUSES = {
    machine.PWRON_RESET: "power_on",
    machine.HARD_RESET: "reset",
    machine.WDT_RESET: "watchdog",
    machine.DEEPSLEEP_RESET: "deep_sleep",
    machine.SOFT_RESET: "soft",
}

# MicroPython's epoch on the ESP32 is 2000, a phone's is 1970.
_EPOCH_S = 946_684_800

# Below this (2024), nobody has set the clock since power came.
_CLOCK_IS_SET_S = 1_704_067_200 - _EPOCH_S

# An answer that takes longer than this does not help: the next attempt is soon.
_NTP_TIMEOUT_S = 1


def store() -> "Store":
    """What NVS keeps."""
    return Store(NVS(NAMESPACE))


def clock() -> "Clock":
    """Milliseconds since about now."""
    return Clock(time.ticks_ms, time.ticks_diff)  # type: ignore[arg-type]  # the stubs have an int of their own for it


def reset_cause() -> str:
    """Why the chip booted, in the protocol's words."""
    return _RESET_CAUSES.get(machine.reset_cause(), "unknown")


def silence() -> "Pin":
    """Take every pulse away from the servos, whatever the driver does: the first thing of a boot. Returns that pin."""
    return Pin(ENABLE, Pin.OUT, value=1)


def gates(enable: "Pin", kept: "Store", now_ms: "Callable[[], int]") -> "Gates":
    """The gates; no pulse goes out until they are closed. `enable` is what `silence` returned."""
    driver = Pca9685(I2C(0, scl=Pin(SCL), sda=Pin(SDA), freq=I2C_HZ))
    return Gates(driver, enable, Timer(0), Timer(1), now_ms, kept.pulses(), kept.keep_pulses)


def scale(counts_per_g: int, now_ms: "Callable[[], int]") -> "Scale | None":
    """The load cell; None where the settings have none."""
    if not counts_per_g:
        return None
    return Scale(converter(), counts_per_g, now_ms)


def converter() -> "Hx711":
    """The load cell's converter, whether or not there is one."""
    return Hx711(Pin(SCALE_DATA, Pin.IN), Pin(SCALE_CLOCK, Pin.OUT), _locked)


def button() -> "Button":
    return Button(Pin(BUTTON, Pin.IN, Pin.PULL_UP))


def led() -> "Led":
    return Led(Pin(LED, Pin.OUT))


def watchdog(parts: "tuple[str, ...]", now_ms: int) -> "Watchdog":
    """From here on the board restarts unless it is fed."""
    return Watchdog(WDT(timeout=TIMEOUT_MS), parts, now_ms)


def wifi(ssid: str, password: str, device: str) -> "Wifi":
    """The radio as a station, known in the network under the dispenser's id."""
    network.hostname(device)
    wlan = WLAN(WLAN.IF_STA)
    wlan.active(True)
    wlan.config(reconnects=0)  # it tries without a pause, and for ever
    return Wifi(wlan, ssid, password)


def networks() -> "list[str]":
    """The names of the Wi-Fi networks in reach, strongest first. Takes some seconds."""
    wlan = WLAN(WLAN.IF_STA)
    wlan.active(True)
    names = []  # type: list[str]
    try:
        for found in sorted(wlan.scan(), key=_weakness):
            try:
                name = found[0].decode()
            except UnicodeError:
                continue
            if name and name not in names:
                names.append(name)
    except OSError:
        pass  # a person can type the name
    wlan.active(False)
    return names


def access_point(label: str, password: str) -> str:
    """Open the set-up network. Returns the dispenser's address in it."""
    wlan = WLAN(WLAN.IF_AP)
    wlan.active(True)
    wlan.config(ssid=label, key=password, security=WLAN.SEC_WPA2)
    return wlan.ifconfig()[0]


def label() -> str:
    """The name of the set-up network: the same for this chip always."""
    chip_id = machine.unique_id()
    return "pitada-" + "".join(["%02x" % byte for byte in chip_id[-2:]])


def tls(certificates: str) -> "ssl.SSLContext | None":
    """Trust these authorities and no others; None where the connection is not encrypted."""
    if not certificates:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_mode = ssl.CERT_REQUIRED  # type: ignore[attr-defined]  # the stubs have forgotten it
    context.load_verify_locations(cadata=certificates.encode())
    return context


def set_clock(since_1970_s: int) -> None:
    """Set the clock, unless it is set and later."""
    at_s = since_1970_s - _EPOCH_S
    if at_s >= _CLOCK_IS_SET_S and at_s > time.time():
        year, month, day, hour, minute, second = time.gmtime(at_s)[:6]
        machine.RTC().datetime((year, month, day, 0, hour, minute, second, 0))


def ask_clock() -> int:
    """Set the clock by the network's. Seconds since 1970; 0: no answer. Blocks for a second, and for a look-up."""
    ntptime.timeout = _NTP_TIMEOUT_S
    try:
        ntptime.settime()
    except (OSError, ValueError, OverflowError):
        return 0
    return int(time.time()) + _EPOCH_S


def random_bits(count: int) -> int:
    """`count` (up to 32) random bits from the radio's noise."""
    return int.from_bytes(os.urandom(4), "big") >> (32 - count)


def _locked(call: "Callable[[], None]") -> None:
    state = machine.disable_irq()
    try:
        call()
    finally:
        machine.enable_irq(state)


def _weakness(found: "tuple[bytes, bytes, int, int, int, int]") -> int:
    return -found[3]
