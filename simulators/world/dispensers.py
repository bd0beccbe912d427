"""The dispensers of a world: the fleet's own boards, whose flash a power cut can tear, and who can be swapped."""

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from firmware.core.dispenser import Dispenser
from firmware.core.slots import STATES, read_state
from simulators.board import Board
from simulators.events import Event
from simulators.faults import FixedFaults, Strikes
from simulators.flash import Flash
from simulators.flask import Flask, FlaskSpec
from simulators.hardware import Hardware
from simulators.truth import Truth
from simulators.wifi import Network

FIRMWARE_VERSION = "0.1.0+world"

_BROKER = Network("broker", 1883)


class WorldSpec(NamedTuple):
    """One dispenser: its flasks, how long its flash takes over one save, and what goes wrong at which opening."""

    device: str
    flasks: Sequence[FlaskSpec]
    save_ms: int
    faults: FixedFaults


class TornFlash(Flash):
    """Flash whose power can go in the middle of a save: the slot then holds the old content, the new, or a torn piece.

    A piece is the new content up to any byte, as a file system without an atomic rename would leave it.
    """

    __slots__ = ("_rng", "torn")

    def __init__(self, rng: random.Random, save_ms: int) -> None:
        super().__init__(save_ms=save_ms)
        self._rng = rng
        self.torn = 0

    def cut(self, slot: str, data: bytes) -> None:
        chance = self._rng.random()
        if chance < 0.5:
            self.torn += 1
            self.save(slot, data[: int(self._rng.random() * len(data))])
        elif chance < 0.75:
            self.save(slot, data)

    def flip(self, where: float) -> bool:
        """Change one bit of the newest state, `where` from 0 to 1 in it.

        False: there is none, or no other one that can be read; to lose both is what `wipe` is for.
        """
        slots = {slot: content for slot, content in self.read().items() if slot in STATES}
        states = {slot: read_state(content) for slot, content in slots.items()}
        generations = {slot: state.generation for slot, state in states.items() if state is not None}
        if not generations or len(generations) < len(slots):
            return False
        newest = max(generations, key=generations.__getitem__)
        content = slots[newest]
        at = int(where * len(content))
        return self.save(newest, content[:at] + bytes((content[at] ^ 1,)) + content[at + 1 :])


class Dispensers:
    """Every dispenser of a world, by its id, and the witness of what leaves their flasks.

    To be made inside the running loop. `tell` hears every event.
    """

    def __init__(
        self, specs: Sequence[WorldSpec], rng_of: Callable[[str], random.Random], tell: Callable[[Event], None]
    ) -> None:
        self.truth = Truth()
        self.boards: dict[str, Board] = {}
        self._rng_of = rng_of
        self._tell = tell
        self._specs = {spec.device: spec for spec in specs}
        self._swaps = 0
        self._stopping: list[asyncio.Task[None]] = []
        for spec in specs:
            self._fit(spec.device, {flask.flask: Flask(flask) for flask in spec.flasks})

    @property
    def flash(self) -> Mapping[str, TornFlash]:
        """The flash of each board."""
        return {
            device: board.hardware.flash
            for device, board in self.boards.items()
            if isinstance(board.hardware.flash, TornFlash)
        }

    def boot(self) -> None:
        """Power on everywhere."""
        for board in self.boards.values():
            board.boot()

    def wipe(self, device: str, off_ms: int) -> None:
        """Power goes, and the flash is erased before it is back."""
        board = self.boards[device]
        board.power_cut(off_ms)
        board.hardware.flash.wipe()

    def swap(self, device: str) -> None:
        """Another board takes its place, with an empty flash of its own, under the same id, at the same flasks."""
        old = self.boards[device]
        self._stopping.append(asyncio.get_running_loop().create_task(old.stop()))
        self._swaps += 1
        self._fit(device, old.hardware.flasks, old.hardware.strikes)
        new = self.boards[device]

        def begin() -> None:
            if self.boards[device] is new:  # else it was swapped again meanwhile
                new.boot()

        # The old one's power is off before the new one's is on: its task runs first.
        asyncio.get_running_loop().call_later(0.001, begin)

    def _fit(self, device: str, flasks: dict[int, Flask], strikes: Strikes | None = None) -> None:
        spec = self._specs[device]
        rng = self._rng_of(f"board/{device}/{self._swaps}")
        hardware = Hardware(flasks, TornFlash(rng, spec.save_ms), strikes or Strikes(spec.faults), rng)
        make_core = partial(Dispenser, device, "secret", FIRMWARE_VERSION, rng.getrandbits)
        self.boards[device] = Board(device, make_core, hardware, _BROKER, self._tell, self.truth.record)
