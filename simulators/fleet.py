"""A fleet of simulated dispensers in one process: real cores, real sockets, simulated hardware, one seed."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from ssl import SSLContext
from types import TracebackType
from typing import NamedTuple

from firmware.core.dispenser import Dispenser
from protocol.messages import DEVICE_ID
from simulators import events, faults
from simulators.board import Board, Core
from simulators.events import Event
from simulators.faults import FixedFaults, FleetPlan, Strikes, plan_named
from simulators.flash import Flash
from simulators.flask import Flask, FlaskSpec
from simulators.hardware import Hardware
from simulators.ramp import RAMP_PER_S, ramp
from simulators.second import ON_S, run_second
from simulators.truth import Truth
from simulators.wifi import Network
from simulators.wire import HeardCore, Wire

FIRMWARE_VERSION = "0.1.0+sim"


class DispenserSpec(NamedTuple):
    """One dispenser: who it is, its flasks, and how long its flash takes over one save (an ESP32's, up to 200 ms)."""

    device: str
    password: str
    flasks: Sequence[FlaskSpec]
    save_ms: int = 0


class FleetBroken(Exception):
    """A core raised an error, or the fleet did not get where it was awaited in time."""


class Fleet:
    """`async with Fleet(...)`: the dispensers power on at `ramp_per_s`, and are gone, sockets and all, at the end.

    `plan` is one of `faults.PLANS`, or a function from device id to its faults. With `flash_dir` every dispenser's
    flash outlives this process. `on_event` hears every event, synchronously: it must be quick and must not raise.
    A fault of two boards under one id switches a second one on, with an empty flash and flasks of its own, for a time
    within `second_on_s`.
    Raises `protocol.fields.BadValue` for a device id that the protocol does not allow.
    """

    def __init__(
        self,
        specs: Sequence[DispenserSpec],
        host: str,
        port: int,
        *,
        seed: int = 0,
        plan: str | FleetPlan = "solid",
        flash_dir: Path | None = None,
        tls: SSLContext | None = None,
        ramp_per_s: int = RAMP_PER_S,
        second_on_s: tuple[float, float] = ON_S,
        on_event: Callable[[Event], None] | None = None,
    ) -> None:
        for spec in specs:
            DEVICE_ID.check(spec.device)
        self.specs = tuple(specs)
        self.truth = Truth()
        self.faults: Counter[str] = Counter()
        self.boots = 0
        self.connected = 0
        """How many dispensers the broker has accepted and still serves, as far as they can be heard."""
        self.reconnects = 0
        """Sign-ins of dispensers that had been signed in before."""
        self.crashes: list[Event] = []
        self.boards: dict[str, Board] = {}
        self.wire = Wire(lambda: asyncio.get_running_loop().time())
        self._network = Network(host, port, tls)
        self._seed = seed
        self._plan = plan_named(plan, seed, [spec.device for spec in specs]) if isinstance(plan, str) else plan
        self._flash_dir = flash_dir
        self._ramp_per_s = ramp_per_s
        self._second_on_s = second_on_s
        self._on_event = on_event
        self._ramp: asyncio.Task[None] | None = None
        self._seen: set[str] = set()  # those that have been signed in
        self._seconds: set[asyncio.Task[None]] = set()  # each runs a second board under a dispenser's id
        self._waiting: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []

    @property
    def signed_in(self) -> int:
        """How many dispensers have been signed in at least once."""
        return len(self._seen)

    @property
    def openings(self) -> int:
        """Openings ordered so far."""
        return self.truth.openings_total

    def left_mg(self, device: str, flask: int) -> int:
        """What physically left one flask so far."""
        return self.truth.left_mg[device, flask]

    def refill(self, device: str, flask: int, mg: int) -> None:
        """Pour `mg` into one flask. Raises `KeyError` for a flask that the fleet has not."""
        self.boards[device].hardware.flasks[flask].refill(mg)

    async def wait_until(self, condition: Callable[[], bool], within_s: float) -> None:
        """Return when `condition` holds; it is asked after every event. Raises `FleetBroken` when it is too late."""
        if self.crashes:
            raise FleetBroken(f"{self.crashes[0].device} crashed: {self.crashes[0].text}")
        if condition():
            return
        waiting = asyncio.get_running_loop().create_future()
        entry = (condition, waiting)
        self._waiting.append(entry)
        try:
            async with asyncio.timeout(within_s):
                await waiting
        except TimeoutError:
            raise FleetBroken(f"not reached within {within_s} s: {self}") from None
        finally:
            self._waiting.remove(entry)

    async def __aenter__(self) -> "Fleet":
        for spec in self.specs:
            self.boards[spec.device] = self._build(spec)
        boots = [each.boot for each in self.boards.values()]
        self._ramp = asyncio.get_running_loop().create_task(ramp(boots, self._ramp_per_s))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        tasks = [*self._seconds, *([] if self._ramp is None else [self._ramp])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*(each.stop() for each in self.boards.values()))

    def __str__(self) -> str:
        return (
            f"{self.connected} of {len(self.specs)} connected, {self.boots} boots, {self.openings} openings, "
            f"faults {dict(self.faults)}"
        )

    def _build(self, spec: DispenserSpec) -> Board:
        flash = Flash(self._flash_dir / spec.device if self._flash_dir else None, spec.save_ms)
        return self._board(spec, flash, Strikes(self._plan(spec.device)), "", self._heard)

    def _board(
        self, spec: DispenserSpec, flash: Flash, strikes: Strikes, name: str, heard: Callable[[Event], None]
    ) -> Board:
        rng = random.Random(f"{self._seed}/{spec.device}{name}")

        def make_core() -> Core:
            core = Dispenser(spec.device, spec.password, FIRMWARE_VERSION, rng.getrandbits)
            return HeardCore(core, spec.device, self.wire)

        hardware = Hardware({flask.flask: Flask(flask) for flask in spec.flasks}, flash, strikes, rng)
        return Board(spec.device, make_core, hardware, self._network, heard, self.truth.record)

    def _switch_on_second(self, device: str) -> None:
        first = self.boards[device]
        spec = next(spec for spec in self.specs if spec.device == device)
        name = f"/second/{self.faults[faults.DUPLICATE_ID]}"
        second = self._board(spec, Flash(), Strikes(FixedFaults()), name, self._heard_second)
        on_s = second.hardware.rng.uniform(*self._second_on_s)
        running = asyncio.get_running_loop().create_task(run_second(first, second, on_s))
        self._seconds.add(running)
        running.add_done_callback(self._seconds.discard)

    def _heard(self, event: Event) -> None:
        if event.kind == events.FAULT:
            self.faults[event.text] += 1
            if event.text == faults.DUPLICATE_ID:
                self._switch_on_second(event.device)
        elif event.kind == events.ONLINE:
            self.connected += 1
            self.reconnects += event.device in self._seen
            self._seen.add(event.device)
        elif event.kind == events.OFFLINE:
            self.connected -= 1
        elif event.kind == events.BOOTED:
            self.boots += 1
        elif event.kind == events.CRASHED:
            self.crashes.append(event)
        if self._on_event is not None:
            self._on_event(event)
        for condition, waiting in self._waiting:
            if waiting.done():
                continue
            if self.crashes:
                waiting.set_exception(FleetBroken(f"{event.device} crashed: {event.text}"))
            elif condition():
                waiting.set_result(None)

    def _heard_second(self, event: Event) -> None:
        """A second board is no dispenser of the fleet: of it only a crash counts."""
        if event.kind == events.CRASHED:
            self._heard(event)
