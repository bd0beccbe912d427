"""The loop of a board: facts go into the core, its orders are carried out. The same on the chip, in the VM, on CPython.

Nothing here waits but for the next turn: a gate is looked at every 10 ms whatever the network does.
"""

import asyncio
import gc

from firmware.core import ports
from firmware.core.dispenser import Dispenser

try:
    from asyncio import sleep_ms  # type: ignore[attr-defined,unused-ignore]  # only the stubs of the chip have it
except ImportError:  # CPython

    async def sleep_ms(ms: int) -> None:
        await asyncio.sleep(ms / 1000)


try:
    from typing import Callable, Protocol

    from firmware.board.flash import Flash
    from firmware.board.stream import Stream

    class Hardware(Protocol):
        """What the loop needs of a board. All return at once; outcomes are facts, told from within `step`."""

        def open(self, flask: int, open_ms: int, limit_ms: int, channel: int, closed_us: int, open_us: int) -> None: ...
        def close(self, flask: int) -> None: ...
        def close_all(self) -> None: ...
        def sample(self) -> "tuple[int, int]": ...
        def say(self, level: str, text: str) -> None: ...
        def show(self, pattern: str) -> None: ...
        def feed(self) -> None: ...
        def step(self) -> None: ...

except ImportError:  # MicroPython has no typing; only type checkers look at these
    pass

# How often the hardware is looked at: a button press lasts longer, and a gate has its own timers.
TICK_MS = 10


class Facts:
    """What happened and was not yet given to the core, in order. At most one fact of a kind waits for its turn."""

    def __init__(self) -> None:
        self._waiting = []  # type: list[ports.Port]

    def tell(self, fact: ports.Port) -> None:
        """Something happened. The same twice before the core saw it once is one fact."""
        if fact not in self._waiting:
            self._waiting.append(fact)

    def next(self) -> "ports.Port | None":
        """The oldest, or None."""
        return self._waiting.pop(0) if self._waiting else None

    def forget_stream(self) -> None:
        """The stream was given up: what it brought last is not of the next one."""
        self._waiting = [
            fact for fact in self._waiting if not isinstance(fact, (ports.Linked, ports.LinkLost, ports.Received))
        ]


class Board:
    """A dispenser core with the parts that carry out its orders. `now_ms()` is milliseconds since boot."""

    def __init__(
        self,
        dispenser: Dispenser,
        facts: Facts,
        hardware: "Hardware",
        stream: "Stream",
        flash: "Flash",
        now_ms: "Callable[[], int]",
    ) -> None:
        self._dispenser = dispenser
        self._facts = facts
        self._hardware = hardware
        self._stream = stream
        self._flash = flash
        self._now_ms = now_ms
        self._wake_at_ms = None  # type: int | None

    async def run(self, reset_cause: str) -> None:
        """Boot the core and go on until cancelled, or until something raises: then the board has to restart.

        Either way every gate is closed at the end, before anything else.
        """
        hardware = self._hardware
        try:
            self._facts.tell(ports.Booted(self._flash.read(), reset_cause))
            while True:
                hardware.step()
                fact = self._due()
                if fact is not None:
                    self._step(fact)
                hardware.feed()
                await sleep_ms(0 if fact is not None else self._pause_ms())
        finally:
            hardware.close_all()
            self._stream.disconnect()

    def _due(self) -> "ports.Port | None":
        fact = self._facts.next()
        if fact is None and self._wake_at_ms is not None and self._now_ms() >= self._wake_at_ms:
            return ports.Woke()
        return fact

    def _pause_ms(self) -> int:
        if self._wake_at_ms is None:
            return TICK_MS
        return max(0, min(TICK_MS, self._wake_at_ms - self._now_ms()))

    def _step(self, fact: ports.Port) -> None:
        orders, self._wake_at_ms = self._dispenser.step(self._now_ms(), fact)
        for order in orders:
            self._carry_out(order)
        if isinstance(fact, ports.Received):
            self._stream.resume()
        self._hardware.show(self._dispenser.shows())

    def _carry_out(self, order: ports.Port) -> None:
        if isinstance(order, ports.OpenFlask):
            # Now, so that memory need not be cleared up while the gate is open: that takes long enough to matter.
            gc.collect()
            self._hardware.open(
                order.flask, order.open_ms, order.limit_ms, order.channel, order.closed_us, order.open_us
            )
        elif isinstance(order, ports.CloseFlask):
            self._hardware.close(order.flask)
        elif isinstance(order, ports.Save):
            self._facts.tell(ports.Saved(order.slot, self._flash.save(order.slot, order.data)))
        elif isinstance(order, ports.Send):
            self._stream.send(order.data)
        elif isinstance(order, ports.Connect):
            self._stream.connect()
        elif isinstance(order, ports.Disconnect):
            self._stream.disconnect()
            self._facts.forget_stream()
        elif isinstance(order, ports.Sample):
            rssi_dbm, free_heap_bytes = self._hardware.sample()
            self._facts.tell(ports.Sampled(rssi_dbm, free_heap_bytes))
        elif isinstance(order, ports.Say):
            self._hardware.say(order.level, order.text)
