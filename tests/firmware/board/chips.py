"""The chips that the drivers speak to, as their data sheets describe them, and a clock that tests move."""

from collections.abc import Callable, Iterator
from typing import Any

# I2C answers of a chip that is not there, as the ESP32 gives them.
ENODEV = 19


class Clock:
    """Time stands still until it is moved; timers fire on the way, in order."""

    def __init__(self) -> None:
        self.ms = 0
        self.timers: list[Timer] = []

    def now_ms(self) -> int:
        return self.ms

    def advance(self, ms: int, every_ms: Callable[[], None] | None = None) -> None:
        """Go on by `ms`; `every_ms` is called at each millisecond."""
        for _ms in range(ms):
            self.ms += 1
            for timer in list(self.timers):
                timer.look()
            if every_ms is not None:
                every_ms()


class Timer:
    """machine.Timer: calls back once or periodically. `stuck`: its interrupt never comes."""

    ONE_SHOT = 0
    PERIODIC = 1

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._due_ms: int | None = None
        self._period_ms = 0
        self._mode = self.ONE_SHOT
        self._callback: Callable[[Timer], None] | None = None
        self.stuck = False
        clock.timers.append(self)

    @property
    def is_armed(self) -> bool:
        return self._due_ms is not None

    def init(self, *, mode: int, period: int, callback: "Callable[[Timer], None]") -> None:
        if period <= 0:
            raise ValueError("period must be positive")
        self._mode, self._period_ms, self._callback = mode, period, callback
        self._due_ms = self._clock.ms + period

    def deinit(self) -> None:
        self._due_ms = None

    def look(self) -> None:
        if self._due_ms is None or self._clock.ms < self._due_ms or self._callback is None:
            return
        self._due_ms = self._due_ms + self._period_ms if self._mode == self.PERIODIC else None
        if not self.stuck:
            self._callback(self)


class Pin:
    """machine.Pin: `driven` has every level that was set."""

    def __init__(self, level: int = 1) -> None:
        self.level = level
        self.driven: list[int] = []

    def value(self, level: int | None = None) -> int:
        if level is not None:
            self.level = level
            self.driven.append(level)
        return self.level


class I2C:
    """machine.I2C with chips on it. `script` says for each transfer whether it fails; it may be endless."""

    def __init__(self, chips: "dict[int, ServoDriver]") -> None:
        self._chips = chips
        self.script: Iterator[bool] = iter(())
        self.transfers = 0
        self.before: Callable[[], Any] | None = None

    def writeto_mem(self, address: int, register: int, data: bytes) -> None:
        self._chip(address).write(register, data)

    def readfrom_mem(self, address: int, register: int, count: int) -> bytes:
        return self._chip(address).read(register, count)

    def _chip(self, address: int) -> "ServoDriver":
        self.transfers += 1
        if self.before is not None:
            self.before()
        if next(self.script, False) or address not in self._chips:
            raise OSError(ENODEV, "ENODEV")
        return self._chips[address]


class ServoDriver:
    """PCA9685: its registers, and what its pins do because of them (data sheet, sections 7.3 and 7.4)."""

    def __init__(self, enable: Pin) -> None:
        self._enable = enable
        self.power_cycle()

    def power_cycle(self) -> None:
        """Power goes and returns: it sleeps, every output off."""
        self.registers = bytearray(256)
        self.registers[0x00] = 0x11
        self.registers[0x01] = 0x04
        self.registers[0xFE] = 0x1E
        for channel in range(16):
            self.registers[0x09 + 4 * channel] = 0x10

    def write(self, register: int, data: bytes) -> None:
        for byte in data:
            if register == 0xFE and not self.registers[0x00] & 0x10:
                pass  # the divider is locked while the oscillator runs
            elif register in (0xFA, 0xFB, 0xFC, 0xFD):
                for channel in range(16):
                    self.registers[0x06 + 4 * channel + register - 0xFA] = byte
            else:
                self.registers[register] = byte
            if self.registers[0x00] & 0x20:
                register += 1

    def read(self, register: int, count: int) -> bytes:
        step = 1 if self.registers[0x00] & 0x20 else 0
        return bytes(self.registers[register + step * position] for position in range(count))

    @property
    def pulses_per_s(self) -> float:
        return 25_000_000 / (4096 * (self.registers[0xFE] + 1))

    def pulse_us(self, channel: int) -> int:
        """How long the pulses on the channel are, to the nearest microsecond; 0: there are none."""
        first = 0x06 + 4 * channel
        on = self.registers[first] | self.registers[first + 1] << 8
        off = self.registers[first + 2] | self.registers[first + 3] << 8
        if self._enable.level or self.registers[0x00] & 0x10 or off & 0x1000:
            return 0
        return round((off - on) * 1_000_000 / (4096 * self.pulses_per_s))


class LoadCell:
    """HX711: shifts a reading out on `data`, one bit for each pulse on `clock`; 25 pulses ask for the next reading.

    The clock held high for 60 us powers it down; `slow_us` is how long the program takes between two edges.
    """

    def __init__(self) -> None:
        self.counts = 0
        self.is_ready = True
        self.slow_us = 1
        self.is_down = False
        self.pulses = 0
        self._bits: list[int] = []
        self.data = _DataPin(self)
        self.clock = _ClockPin(self)

    def edge(self, level: int) -> None:
        if not level:
            if self.pulses >= 25:
                self.is_ready, self.pulses = False, 0
            return
        if self.slow_us > 60:
            self.is_down = True
        if self.pulses == 0:
            self._bits = [(self.counts & 0xFFFFFF) >> (23 - bit) & 1 for bit in range(24)] + [1]
        self.pulses += 1

    @property
    def data_level(self) -> int:
        if self.is_down or not self.is_ready:
            return 1
        return self._bits[self.pulses - 1] if self.pulses else 0

    def convert(self, counts: int) -> None:
        """The next reading is there."""
        self.counts = counts
        self.is_ready = True


class _DataPin:
    def __init__(self, cell: LoadCell) -> None:
        self._cell = cell

    def value(self) -> int:
        return self._cell.data_level


class _ClockPin:
    def __init__(self, cell: LoadCell) -> None:
        self._cell = cell

    def value(self, level: int) -> None:
        self._cell.edge(level)
