"""What passes on a fleet's wires, counted: CONNECTs in each second, and how long each completion waits for its receipt.

Display and measurement only: nothing that a dispenser does depends on it.
"""

import re
from collections import deque
from collections.abc import Callable, Sequence

from firmware.core import ports
from simulators.board import Core

# Ten minutes of seconds: what a screen or a report looks at.
KEPT_SECONDS = 600

# The latest waits, for percentiles.
KEPT_WAITS = 20_000

_CONNECT = 0x10
_PUBLISH = 0x30

# Enough of a PUBLISH to hold its header and its topic.
_HEAD_BYTES = 100

_COMPLETION = b"/job/completion"
_RECEIPT = b"/job/receipt"
_SEQ = re.compile(rb'"seq":(\d+)')


class Wire:
    """Of a whole fleet. `connects` has (second of the clock, CONNECTs sent in it), the seconds with none left out."""

    def __init__(self, time_s: Callable[[], float]) -> None:
        self._time_s = time_s
        self._waiting: dict[tuple[str, bytes], float] = {}  # since when each completion waits
        self.connects: deque[tuple[int, int]] = deque(maxlen=KEPT_SECONDS)
        self.connects_total = 0
        self.waited_ms: deque[int] = deque(maxlen=KEPT_WAITS)

    @property
    def unreceipted(self) -> int:
        """Completions that were published and wait for their receipt."""
        return len(self._waiting)

    def sent(self, device: str, data: bytes) -> None:
        """A dispenser sent one packet."""
        if data[0] == _CONNECT:
            self._count_connect()
        elif data[0] & 0xF0 == _PUBLISH and _COMPLETION in data[:_HEAD_BYTES]:
            found = _SEQ.search(data)
            if found is not None:
                self._waiting.setdefault((device, found[1]), self._time_s())

    def came(self, device: str, data: bytes) -> None:
        """Bytes came to a dispenser. A receipt that is cut in its middle is counted when it is repeated."""
        at = data.find(_RECEIPT)
        while at >= 0:
            found = _SEQ.search(data, at)
            since_s = self._waiting.pop((device, found[1]), None) if found is not None else None
            if since_s is not None:
                self.waited_ms.append(round((self._time_s() - since_s) * 1000))
            at = data.find(_RECEIPT, at + 1)

    def _count_connect(self) -> None:
        self.connects_total += 1
        second = int(self._time_s())
        count = self.connects.pop()[1] if self.connects and self.connects[-1][0] == second else 0
        self.connects.append((second, count + 1))


class HeardCore:
    """A dispenser core whose wire is listened to; otherwise the same."""

    __slots__ = ("_device", "_inner", "_wire")

    def __init__(self, inner: Core, device: str, wire: Wire) -> None:
        self._inner = inner
        self._device = device
        self._wire = wire

    def step(self, now_ms: int, fact: ports.Port) -> "tuple[Sequence[ports.Port], int | None]":
        """As the core within."""
        if isinstance(fact, ports.Received):
            self._wire.came(self._device, fact.data)
        orders, wake_at_ms = self._inner.step(now_ms, fact)
        for order in orders:
            if isinstance(order, ports.Send):
                self._wire.sent(self._device, order.data)
        return orders, wake_at_ms
