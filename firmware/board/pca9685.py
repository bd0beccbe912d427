"""The servo driver: 16 pulse outputs behind an I2C address.

Every method raises OSError when the chip does not answer, or does not hold what was written.
"""

try:
    from machine import I2C
except ImportError:  # only type checkers look at this
    pass

# A0 to A5 open, as the boards are sold.
ADDRESS = 0x40
CHANNELS = 16

_MODE1 = 0x00
_MODE2 = 0x01
_LED0 = 0x06
_ALL_OFF_HIGH = 0xFD
_PRE_SCALE = 0xFE

_SLEEP = 0x10
# Oscillator running, registers count up by themselves while they are written.
_AWAKE = 0x20
# Totem-pole outputs, changed at the end of a write; low while the enable pin says off.
_OUTPUTS = 0x04
# Bit 4 of an output's last register: off, whatever its counts say.
_FULL_OFF = 0x10

# The chip's 25 MHz, divided by 4096 counts and 50 pulses a second, to the nearest: 122; it wants one less.
_DIVIDER = 122
_MHZ = 25


class Pca9685:
    """`i2c` is a `machine.I2C`, or a fake that has its `readfrom_mem` and `writeto_mem`."""

    __slots__ = ("_address", "_i2c")

    def __init__(self, i2c: "I2C", address: int = ADDRESS) -> None:
        self._i2c = i2c
        self._address = address

    def set_up(self) -> None:
        """50 pulses a second, every output off."""
        self._write(_ALL_OFF_HIGH, bytes([_FULL_OFF]))
        # The divider can only be set while the oscillator rests. It needs 500 us to start; a servo does not notice.
        self._write(_MODE1, bytes([_AWAKE | _SLEEP]))
        self._write(_PRE_SCALE, bytes([_DIVIDER - 1]))
        self._write(_MODE2, bytes([_OUTPUTS]))
        self._write(_MODE1, bytes([_AWAKE]))
        if not self.is_set_up():
            raise OSError("the servo driver does not keep its settings")

    def is_set_up(self) -> bool:
        """Whether it runs as `set_up` left it. A driver that lost its power sleeps, and moves nothing."""
        return self._holds(_MODE1, bytes([_AWAKE])) and self._holds(_PRE_SCALE, bytes([_DIVIDER - 1]))

    def set_pulse(self, channel: int, pulse_us: int) -> None:
        """Send pulses of that length to the servo on the channel, from the next 20 ms on."""
        self._set(channel, (pulse_us * _MHZ + _DIVIDER // 2) // _DIVIDER)

    def set_off(self, channel: int) -> None:
        """Send no pulses: the servo goes limp and its spring closes the gate."""
        self._set(channel, _FULL_OFF << 8)

    def _set(self, channel: int, off: int) -> None:
        register = _LED0 + 4 * channel
        counts = bytes([0, 0, off & 0xFF, off >> 8])
        self._write(register, counts)
        if not self._holds(register, counts):
            raise OSError(f"servo channel {channel} does not hold its pulse")

    def _holds(self, register: int, data: bytes) -> bool:
        return bool(self._i2c.readfrom_mem(self._address, register, len(data)) == data)

    def _write(self, register: int, data: bytes) -> None:
        self._i2c.writeto_mem(self._address, register, data)
