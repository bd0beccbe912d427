"""The journal on the real littlefs, on a chip that counts its erases and loses power at any of its operations.

The geometry is MicroPython's on an ESP32: blocks of 4 KiB, pages of 32 bytes, a cache of 128, and the two-slot image
for updates over the air, which leaves 240 blocks of a 4 MiB chip to files.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from littlefs import LFSConfig, LittleFS, LittleFSError, UserContext

from tests.power_cuts.lives import first_world, live
from tests.power_cuts.shapes import SHAPES

BLOCK_BYTES = 4096
BLOCKS = 240
# As the makers of the chips on these boards (W25Q32, GD25Q32) promise.
ERASE_CYCLES = 100_000
JOBS_A_DAY = 200
# Four flasks are usual, and the usual job takes from all of them.
USUAL_ITEMS = 4

_PAGE_BYTES = 32
_CACHE_BYTES = 128
# MicroPython's: a metadata block moves after this many erases.
_BLOCK_CYCLES = 100

# Enough for every slot, and so few that blocks are used again soon.
_FEW_BLOCKS = 32

# A write of a slot: its name, and what it is to hold.
Writes = Sequence[tuple[str, bytes]]


class Chip(UserContext):
    """Flash that erases whole blocks. `changes`: (position, bytes) of each program and erase, while `noting`."""

    def __init__(self, content: bytes) -> None:
        self.content = bytearray(content)
        self.erases = [0] * (len(content) // BLOCK_BYTES)
        self.noting = False
        self.changes: list[tuple[int, bytes]] = []

    def read(self, cfg: LFSConfig, block: int, off: int, size: int) -> bytearray:
        start = block * BLOCK_BYTES + off
        return self.content[start : start + size]

    def prog(self, cfg: LFSConfig, block: int, off: int, data: bytes) -> int:
        self._change(block * BLOCK_BYTES + off, bytes(data))
        return 0

    def erase(self, cfg: LFSConfig, block: int) -> int:
        self.erases[block] += 1
        self._change(block * BLOCK_BYTES, b"\xff" * BLOCK_BYTES)
        return 0

    def sync(self, cfg: LFSConfig) -> int:
        return 0

    def _change(self, start: int, data: bytes) -> None:
        if self.noting:
            self.changes.append((start, data))
        self.content[start : start + len(data)] = data


@dataclass(frozen=True)
class Wear:
    """What jobs of `USUAL_ITEMS` items cost. `years` until the most worn block has had its erase cycles."""

    writes_per_job: int
    writes_per_item: int
    erases_per_job: float
    erases_of_worst_block_per_job: float
    years: float


def writes_of_job(items: int) -> list[tuple[str, bytes]]:
    """The slots that one job writes, from its offer to its receipt."""
    shape = SHAPES[items - 1]
    # The first write of a life is the boot's.
    return [(one.slot, one.content) for one in live(shape, first_world(shape)).operations[1:]]


def wear(jobs: int) -> Wear:
    """Run so many jobs on a new chip and look at its blocks."""
    writes = writes_of_job(USUAL_ITEMS)
    chip = Chip(b"\xff" * BLOCK_BYTES * BLOCKS)
    files = _new(chip)
    chip.erases = [0] * BLOCKS
    for _job in range(jobs):
        for slot, content in writes:
            save(files, slot, content)
    worst = max(chip.erases) / jobs
    return Wear(
        writes_per_job=len(writes),
        writes_per_item=len(writes) - len(writes_of_job(USUAL_ITEMS - 1)),
        erases_per_job=round(sum(chip.erases) / jobs, 2),
        erases_of_worst_block_per_job=round(worst, 4),
        years=round(ERASE_CYCLES / worst / JOBS_A_DAY / 365, 1),
    )


def save(files: LittleFS, slot: str, content: bytes) -> None:
    """As the board does it: another file, closed, then renamed."""
    with files.open(f"{slot}.tmp", "wb") as file:
        file.write(content)
    files.rename(f"{slot}.tmp", slot)


def cut_everywhere(writes: Writes, how: Callable[[LittleFS, str, bytes], None] = save) -> tuple[int, list[str]]:
    """Cut power before and in each program and erase of each write. Returns how many cuts, and what was wrong then.

    After a cut the written slot must hold its old or its new content, every other its own, and take a write again.
    """
    chip = Chip(b"\xff" * BLOCK_BYTES * _FEW_BLOCKS)
    files = _new(chip)
    chip.noting = True
    cuts = 0
    wrong: list[str] = []
    held: dict[str, bytes] = {}
    for slot, content in writes:
        broken = bytearray(chip.content)
        chip.changes.clear()
        how(files, slot, content)
        for start, data in chip.changes:
            half = len(data) // 2
            for end in (0, half):
                cuts += 1
                broken[start : start + end] = data[:end]
                wrong += _look(Chip(bytes(broken)), held, slot, content)
            broken[start : start + len(data)] = data
        held[slot] = content
    return cuts, wrong


def _look(chip: Chip, held: dict[str, bytes], slot: str, content: bytes) -> list[str]:
    try:
        files = _mounted(chip)
        found = {name: _read(files, name) for name in files.listdir("/") if not name.endswith(".tmp")}
        save(files, slot, content)
        if found in (held, {**held, slot: content}) and _read(files, slot) == content:
            return []
        return [f"{slot}: holds {found.get(slot)!r}"]
    except LittleFSError as error:
        return [f"{slot}: {error}"]


def _read(files: LittleFS, name: str) -> bytes:
    with files.open(name, "rb") as file:
        return bytes(file.read())


def _new(chip: Chip) -> LittleFS:
    files = _mounted(chip, mount=False)
    files.format()
    files.mount()
    return files


def _mounted(chip: Chip, mount: bool = True) -> LittleFS:
    return LittleFS(
        context=chip,
        mount=mount,
        block_size=BLOCK_BYTES,
        block_count=len(chip.content) // BLOCK_BYTES,
        read_size=_PAGE_BYTES,
        prog_size=_PAGE_BYTES,
        cache_size=_CACHE_BYTES,
        lookahead_size=_PAGE_BYTES,
        block_cycles=_BLOCK_CYCLES,
    )
