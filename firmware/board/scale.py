"""The load cell: an HX711 and what its readings say about an opening. A dispenser works without one too."""

try:
    from typing import Callable

    from machine import Pin
except ImportError:  # only type checkers look at these
    pass

# 24 bits, and one pulse that asks for the next reading at gain 128 on channel A.
_BITS = 24

# What a converter at the end of its range gives: not a weight.
_HIGHEST = 0x7FFFFF
_LOWEST = -0x800000

# A converter gives 10 readings a second (or 80, by a jumper): four are a steady load within half a second.
_WINDOW = 4

# Readings that lie this close are one weight: twice the noise of a 5 kg cell on an HX711.
STEADY_MG = 200

# After a gate closed: what is in the air lands and the cup stops shaking, or the weight is not to be had.
SETTLE_LIMIT_MS = 3000

# Without a reading for this long, the cell is not there (any more).
_SILENT_MS = 1000

# A gate that is open for so long while less than STEADY_MG arrives lets nothing through. So an ingredient that flows
# at less than about 150 mg/s cannot be dispensed with a load cell.
STALL_MS = 2000


class Hx711:
    """The converter. `data` and `clock` are pins; `locked(call)` runs `call` with interrupts off.

    A clock held high for 60 us would switch it off, so each pulse is sent with interrupts off.
    """

    __slots__ = ("_clock", "_data", "_locked")

    def __init__(self, data: "Pin", clock: "Pin", locked: "Callable[[Callable[[], None]], None]") -> None:
        self._data = data
        self._clock = clock
        self._locked = locked
        clock.value(0)

    def read(self) -> "int | None":
        """The next reading in counts, None: it is not there yet, or the cell is out of its range."""
        if self._data.value():
            return None
        counts = 0
        for _bit in range(_BITS):
            self._locked(self._pulse)
            counts = counts << 1 | self._data.value()
        self._locked(self._pulse)
        if counts > _HIGHEST:
            counts -= 1 << _BITS
        return None if counts in (_LOWEST, _HIGHEST) else counts

    def _pulse(self) -> None:
        self._clock.value(1)
        self._clock.value(0)


class Scale:
    """Weighs what leaves a flask. `poll` is to be called every few milliseconds; it never waits.

    `counts_per_g` is the cell's calibration; negative when more load gives less counts.
    """

    __slots__ = (
        "_base_mg",
        "_closed_at_ms",
        "_counts_per_g",
        "_hx711",
        "_moved_at_ms",
        "_moved_mg",
        "_now_ms",
        "_read_at_ms",
        "_readings",
    )

    def __init__(self, hx711: "Hx711", counts_per_g: int, now_ms: "Callable[[], int]") -> None:
        self._hx711 = hx711
        self._counts_per_g = counts_per_g
        self._now_ms = now_ms
        self._readings = []  # type: list[int]
        self._read_at_ms = now_ms()
        self._base_mg = None  # type: int | None
        self._moved_mg = 0
        self._moved_at_ms = 0
        self._closed_at_ms = 0

    def poll(self) -> None:
        """Take a reading where there is one."""
        counts = self._hx711.read()
        if counts is None:
            if self._now_ms() - self._read_at_ms > _SILENT_MS:
                self._readings = []
            return
        self._read_at_ms = self._now_ms()
        self._readings.append(counts * 1000 // self._counts_per_g)
        del self._readings[:-_WINDOW]

    def steady_mg(self) -> "int | None":
        """The load, against an unknown zero; None: it moves, or nothing is known."""
        last = sorted(self._readings)
        if len(last) < _WINDOW or last[-1] - last[0] > STEADY_MG:
            return None
        return (last[_WINDOW // 2 - 1] + last[_WINDOW // 2]) // 2

    def begin(self) -> None:
        """A gate is about to open: what is on the scale now is zero. A load that moves gives no zero, and no weight."""
        self._moved_at_ms = self._now_ms()
        base_mg = self.steady_mg()
        self._base_mg = base_mg
        self._moved_mg = 0 if base_mg is None else base_mg

    def is_stalled(self) -> bool:
        """Whether the gate has been open for a while and nothing arrives. False when there is no way to know."""
        if self._base_mg is None or not self._readings:
            return False
        if self._readings[-1] - self._moved_mg >= STEADY_MG:
            self._moved_mg = self._readings[-1]
            self._moved_at_ms = self._now_ms()
        return self._now_ms() - self._moved_at_ms >= STALL_MS

    def end(self) -> None:
        """The gate closed."""
        self._closed_at_ms = self._now_ms()
        self._readings = []  # what was read while it poured says nothing about rest

    def has_settled(self) -> bool:
        """Whether `weighed_mg` has its last word: the load is steady again, or will not be."""
        no_hope = self._base_mg is None or self._now_ms() - self._read_at_ms > _SILENT_MS
        return no_hope or self.steady_mg() is not None or self._now_ms() - self._closed_at_ms >= SETTLE_LIMIT_MS

    def weighed_mg(self) -> "int | None":
        """What arrived since `begin`, at least 0; None: not known, go by the time."""
        steady_mg = self.steady_mg()
        if self._base_mg is None or steady_mg is None:
            return None
        return max(0, steady_mg - self._base_mg)
