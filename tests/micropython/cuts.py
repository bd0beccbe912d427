"""Power cuts at the flash operations of jobs on a dispenser in the VM, each with a boot after it, without a network.

The job is in flash when the first boot begins: every operation from there to its completion is cut once before it
begins, and every write once more in its middle. In a double cut the boot after it loses power too.
"""

import random
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from firmware.core import slots
from firmware.core.job import Item, Job
from protocol import codec
from protocol.messages import ConfigureDispenser, JobCompleted
from tests.firmware.bench import flask
from tests.firmware.broker import DEVICE
from tests.micropython.site import DEVICE_MAIN
from tests.micropython.vm import NOWHERE, Vm

_OPEN_MS = 4
_EPOCH = "0123456789abcdef"


@dataclass
class Cuts:
    """`repeats`: items opened twice. `unflagged`: reports that do not fit the openings. `unbootable`: no end. All 0."""

    cuts: int = 0
    torn: int = 0
    double: int = 0
    in_doubt: int = 0
    repeats: int = 0
    unflagged: int = 0
    unbootable: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def held(self) -> bool:
        return not (self.repeats or self.unflagged or self.unbootable)


async def run(directory: Path, image: Path, sizes: list[int], seed: int, every: int = 1, doubles: bool = True) -> Cuts:
    """Cut jobs of so many items each, at every `every`-th operation."""
    rng = random.Random(seed)
    found = Cuts()
    for items in sizes:
        operations = await _count(directory / f"{items}-whole", image, items)
        for at in range(1, operations + 1, every):
            for torn_bytes in (-1, rng.randrange(200)):
                # A second cut falls into what the next boot does first.
                second = rng.randint(1, 6) if doubles and rng.random() < 0.3 else 0
                place = directory / f"{items}-{at}-{torn_bytes}"
                await _one(found, place, image, items, (at, second), torn_bytes)
    return found


async def _one(found: Cuts, flash: Path, image: Path, items: int, cuts: tuple[int, int], torn_bytes: int) -> None:
    _prepare(flash, items)
    lines: list[str] = []
    for cut_at in cuts:
        if cut_at:
            async with _boot(image, flash, cut_at, torn_bytes) as vm:
                await vm.until(
                    lambda said: any(line.startswith("cut at") for line in said) or _ended(flash) is not None
                )
            lines += vm.lines
    found.cuts += 1 + bool(cuts[1])
    found.double += bool(cuts[1])
    found.torn += torn_bytes >= 0
    async with _boot(image, flash) as vm:
        try:
            await vm.until(lambda _lines: _ended(flash) is not None, 20)
        except Exception as error:  # whatever stops it: that is what is counted
            found.unbootable += 1
            found.problems.append(f"{cuts}: {error}")
            return
    lines += vm.lines
    report = _ended(flash)
    assert report is not None
    _judge(found, report, lines, f"{items} items, cuts {cuts}, torn {torn_bytes}")


def _judge(found: Cuts, report: JobCompleted, lines: list[str], where: str) -> None:
    opened = Counter(int(line.split()[1]) for line in lines if line.startswith("opened "))
    closed = {int(line.split()[1]): int(line.split()[2]) for line in lines if line.startswith("closed ")}
    for item in report.items:
        if opened[item.flask] > 1:
            found.repeats += 1
            found.problems.append(f"{where}: flask {item.flask} opened {opened[item.flask]} times")
        found.in_doubt += item.state == "in_doubt"
        is_known = item.state == "done" and closed.get(item.flask) == item.duration_ms
        if not is_known and item.state != "in_doubt":
            found.unflagged += 1
            found.problems.append(f"{where}: {item}, opened {opened[item.flask]} times, closed {closed}")


async def _count(flash: Path, image: Path, items: int) -> int:
    """Flash operations from the boot to the end of the job, by a cut that comes too late for it."""
    _prepare(flash, items)
    async with _boot(image, flash) as vm:
        await vm.until(lambda _lines: _ended(flash) is not None)
        vm.tell("operations")
        return int((await vm.said("operations ")).split()[1])


def _boot(image: Path, flash: Path, cut_at: int = 0, torn_bytes: int = -1) -> Vm:
    account = (DEVICE, "secret", "127.0.0.1", NOWHERE, "")
    return Vm(image, flash, DEVICE_MAIN, *account, cut_at=cut_at, torn_bytes=torn_bytes)


def _prepare(flash: Path, items: int) -> None:
    """A flash with a configuration and an accepted job of so many items, one of each flask."""
    flash.mkdir(parents=True)
    job = Job("job-1", 1, [Item(number, _OPEN_MS) for number in range(1, items + 1)])
    (flash / slots.STATES[0]).write_bytes(slots.write_state(1, _EPOCH, 1, 1, 0, job))
    config = ConfigureDispenser(version=1, flasks=tuple(flask(number, settle_ms=0) for number in range(1, items + 1)))
    (flash / slots.CONFIG).write_bytes(slots.seal(codec.encode(config)))


def _ended(flash: Path) -> JobCompleted | None:
    """The completion in flash, once the state after it is there too."""
    states = [slots.read_state(_read(flash / name)) for name in slots.STATES]
    newest = max((state for state in states if state is not None), key=lambda state: state.generation, default=None)
    body = slots.unseal(_read(flash / slots.DONE[0]))
    return codec.decode(JobCompleted, body) if body is not None and newest is not None and newest.job is None else None


def _read(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None
