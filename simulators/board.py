"""A simulated board: runs one dispenser core on the event loop and carries out its orders with simulated hardware.

As thin as the ESP32's own adapter: a fact goes in, orders come out and are carried out in order. No thread, and no
task but the one that opens a stream: a fleet of thousands runs in one process.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from firmware.core import ports
from simulators import faults
from simulators.events import BOOTED, CLOSED, CRASHED, FAULT, OFFLINE, ONLINE, OPENED, POWERED_OFF, SAID, Event
from simulators.faults import Fault
from simulators.hardware import Hardware
from simulators.servos import Servos
from simulators.truth import Opening, Purpose, purpose_of
from simulators.wifi import Network, Wifi

# The first byte of an MQTT PUBLISH: its type in the high half, and its flags.
_PUBLISH = 3
_DUP = 0x08
_QOS = 0x06


class Core(Protocol):
    """What a board runs: `firmware.core.Dispenser`, or a script that takes its place in a test."""

    def step(self, now_ms: int, fact: ports.Port) -> "tuple[Sequence[ports.Port], int | None]": ...


class Board:
    """One dispenser. `make_core` is called at every boot; `tell` hears events, `witness` every opening.

    `core` is None while power is off.
    """

    __slots__ = (
        "_booted_at",
        "_facts",
        "_latest_ms",
        "_life",
        "_loop",
        "_make_core",
        "_saved_until",
        "_saving",
        "_servos",
        "_stepping",
        "_tell",
        "_wake",
        "_wake_at_ms",
        "_was_online",
        "_witness",
        "core",
        "device",
        "hardware",
        "wifi",
    )

    def __init__(
        self,
        device: str,
        make_core: Callable[[], Core],
        hardware: Hardware,
        network: Network,
        tell: Callable[[Event], None],
        witness: Callable[[Opening], None],
    ) -> None:
        self.device = device
        self._make_core = make_core
        self.hardware = hardware
        self._tell = tell
        self._loop = asyncio.get_running_loop()
        self._witness = witness
        self._servos = Servos(device, hardware.flasks, self._feed, self._saw)
        self.wifi = Wifi(network, self)
        self.core: Core | None = None
        self._life = 0
        self._saving: list[ports.Save] = []
        self._facts: list[ports.Port] = []
        self._stepping = False
        self._was_online = False
        self._wake: asyncio.TimerHandle | None = None
        self._wake_at_ms: int | None = None

    def boot(self, reset_cause: str = "power_on") -> None:
        """Power on: a new core starts from what is in flash."""
        if self.core is not None:
            return
        self._life += 1
        try:
            self.core = self._make_core()
        except Exception as error:  # as in _feed
            self._halt(error)
            return
        self._booted_at = self._saved_until = self._loop.time()
        self._latest_ms = 0
        self._emit(BOOTED, reset_cause)
        self._feed(ports.Booted(self.hardware.flash.read(), reset_cause))

    def power_cut(self, off_ms: int) -> None:
        """Power goes: RAM is lost, gates close by their springs, a save under way leaves the old content.

        It is back after `off_ms`.
        """
        self._power_off("power was cut")
        self._later(off_ms, self.boot)

    def press_stop(self) -> None:
        """Someone presses the button on the dispenser."""
        self._feed(ports.StopPressed())

    async def stop(self) -> None:
        """Power off for good; returns when every socket is closed."""
        self._power_off("stopped")
        await self.wifi.close()

    # What the radio tells (simulators.wifi.Hears).

    def linked(self) -> None:
        self._feed(ports.Linked())

    def signed_in(self) -> None:
        self._was_online = True
        self._emit(ONLINE)

    def received(self, data: bytes) -> None:
        self._feed(ports.Received(data))

    def lost(self, reason: str, by_broker: bool) -> None:
        self._offline(reason)
        self._feed(ports.LinkLost(reason, by_broker))

    def _feed(self, fact: ports.Port) -> None:
        """Give a fact to the core, after those that wait, and carry out what it orders."""
        if self.core is None:
            return
        self._facts.append(fact)
        if self._stepping:
            return
        self._stepping = True
        try:
            while self._facts and self.core is not None:
                self._step(self.core, self._facts.pop(0))
        except Exception as error:  # whatever it is, a core that raises has a bug: halt and show it
            self._halt(error)
        finally:
            self._stepping = False
        self._arm()

    def _step(self, core: Core, fact: ports.Port) -> None:
        orders, self._wake_at_ms = core.step(self._now_ms(), fact)
        for order in orders:
            if self.core is not core:
                return  # power went while an order was carried out
            _CARRY_OUT[type(order)](self, order)

    def _arm(self) -> None:
        """One timer for the time that the core last asked for."""
        if self._wake is not None:
            self._wake.cancel()
            self._wake = None
        if self.core is not None and self._wake_at_ms is not None:
            at = self._booted_at + self._wake_at_ms / 1000
            self._wake = self._loop.call_at(at, self._woke, self._wake_at_ms)

    def _woke(self, due_ms: int) -> None:
        self._latest_ms = max(self._latest_ms, due_ms)  # a loop runs a timer up to a clock tick early
        self._feed(ports.Woke())

    def _now_ms(self) -> int:
        self._latest_ms = max(self._latest_ms, int((self._loop.time() - self._booted_at) * 1000))
        return self._latest_ms

    def _halt(self, error: Exception) -> None:
        self._emit(CRASHED, f"{type(error).__name__}: {error}")
        self._power_off("the core raised an error")

    def _power_off(self, reason: str) -> None:
        self.core = None
        self._life += 1
        self._facts.clear()
        if self._saving:
            self.hardware.flash.cut(self._saving[0].slot, self._saving[0].data)
            self._saving.clear()
        self._servos.power_off()
        self.wifi.power_off()
        self._arm()
        self._offline(reason)
        self._emit(POWERED_OFF, reason)

    # The orders.

    def _connect(self, _order: ports.Connect) -> None:
        self.wifi.connect()

    def _disconnect(self, _order: ports.Disconnect) -> None:
        self._offline("the dispenser closed the stream")
        self.wifi.disconnect()

    def _send(self, order: ports.Send) -> None:
        first = order.data[0]
        self.wifi.send(order.data)
        if first >> 4 == _PUBLISH and first & _QOS:
            fault = self.hardware.strikes.at_publish()
            if fault is not None and self.wifi.online:
                self._emit(FAULT, fault.kind)
                if fault.kind == faults.DUPLICATE:
                    self.wifi.send(bytes([first | _DUP]) + order.data[1:])
                else:
                    self.wifi.hold(fault.ms)

    def _save(self, order: ports.Save) -> None:
        save_ms = self.hardware.flash.save_ms
        if not save_ms:
            self._saved(order)
            return
        # One after the other, as the flash chip does.
        now = self._loop.time()
        self._saving.append(order)
        self._saved_until = max(self._saved_until, now) + save_ms / 1000
        self._later((self._saved_until - now) * 1000, self._saved_one, order)

    def _saved_one(self, order: ports.Save) -> None:
        self._saving.pop(0)
        self._saved(order)

    def _saved(self, order: ports.Save) -> None:
        self._feed(ports.Saved(order.slot, self.hardware.flash.save(order.slot, order.data)))

    def _open_flask(self, order: ports.OpenFlask) -> None:
        fault = self.hardware.strikes.at_opening()
        kind = fault.kind if fault else ""
        strike_ms = order.open_ms * fault.at_percent // 100 if fault else 0
        power_ms = strike_ms if kind == faults.POWER_CUT else None
        purpose = Purpose(self.hardware.strikes.openings, *purpose_of(order.flask, self.hardware.flash.read()))
        self._emit(OPENED, f"flask {order.flask}")
        self._servos.open(order, purpose, kind == faults.JAM, power_ms)
        if kind == faults.JAM:
            self._emit(FAULT, faults.JAM)
        elif fault is not None:
            self._later(strike_ms, self._strike, fault)

    def _close_flask(self, order: ports.CloseFlask) -> None:
        self._servos.close(order.flask)

    def _sample(self, _order: ports.Sample) -> None:
        self._feed(self.hardware.sample())

    def _say(self, order: ports.Say) -> None:
        self._emit(SAID, f"{order.level}: {order.text}")

    # What goes wrong in the middle of an opening.

    def _strike(self, fault: Fault) -> None:
        if not (self._servos.any_open if fault.kind == faults.POWER_CUT else self.wifi.online):
            self.hardware.strikes.owe(fault)
            return
        self._emit(FAULT, fault.kind)
        if fault.kind == faults.POWER_CUT:
            self.power_cut(fault.ms)
        elif fault.kind == faults.WIFI_DROP:
            self.wifi.drop(fault.ms)
        elif fault.kind == faults.HALF_OPEN:
            self.wifi.half_open()
            self._offline("the link went silent")

    def _saw(self, opening: Opening) -> None:
        self._witness(opening)
        self._emit(CLOSED, f"flask {opening.flask}: {opening.mg} mg in {opening.open_ms} ms, {opening.end}")

    def _later(self, ms: float, call: Callable[..., None], *arguments: object) -> None:
        """Call after `ms`, unless power goes first (or, when it is off, comes back first)."""
        life = self._life

        def run() -> None:
            if life == self._life:
                call(*arguments)

        self._loop.call_later(ms / 1000, run)

    def _offline(self, reason: str) -> None:
        if self._was_online:
            self._was_online = False
            self._emit(OFFLINE, reason)

    def _emit(self, kind: str, text: str = "") -> None:
        self._tell(Event(self.device, kind, text))


_CARRY_OUT: dict[type[ports.Port], Callable[..., None]] = {
    ports.Connect: Board._connect,
    ports.Disconnect: Board._disconnect,
    ports.Send: Board._send,
    ports.Save: Board._save,
    ports.OpenFlask: Board._open_flask,
    ports.CloseFlask: Board._close_flask,
    ports.Sample: Board._sample,
    ports.Say: Board._say,
}
