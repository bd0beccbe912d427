"""The live heap of a dispenser with a hard cap, over many jobs, with TLS off.

The figures are those of a frozen image: there the code stays in flash. The VM has to load it into its heap, so what
the code takes is measured apart, given to the VM beyond the cap, and taken off what is live.
"""

from dataclasses import dataclass
from pathlib import Path

from protocol.limits import MAX_FLASKS, MAX_ITEMS
from tests.firmware.bench import flask
from tests.firmware.broker import DEVICE
from tests.firmware.peer import Peer, peer
from tests.micropython import image
from tests.micropython.site import DEVICE_MAIN
from tests.micropython.vm import NOWHERE, Vm, boot

# What an ESP32 has left with Wi-Fi and TLS, at the least.
CAP_BYTES = 96 << 10

# Half of it: the other half is for what comes and goes.
MOST_BYTES = 50_000
# A state file with longer numbers, a last message of another length: not what a leak looks like after some jobs.
NOISE_BYTES = 1024

# A job of 16 items is the largest; it comes last, when the completions that are kept take most.
_LARGEST = [(number % MAX_FLASKS + 1, 5) for number in range(MAX_ITEMS)]


@dataclass(frozen=True)
class Heap:
    """Bytes of live heap, without code, after each of `jobs` jobs that was asked for."""

    cap_bytes: int
    code_bytes: int
    live_bytes: dict[int, int]
    live_after_16_items_bytes: int
    problems: tuple[str, ...]


async def run(directory: Path, jobs: int, every: int) -> Heap:
    """Run the jobs and look at the heap after every `every` of them; then one of 16 items."""
    built = image.build(directory / "image", image.INSIDE, *image.FIRMWARE)
    code_bytes = await weigh(directory, built)
    live: dict[int, int] = {}
    async with peer(*[flask(number, settle_ms=0) for number in range(1, MAX_FLASKS + 1)]) as one:
        arguments = (DEVICE, "secret", "127.0.0.1", one.port, "")
        async with Vm(
            built,
            directory / "flash",
            DEVICE_MAIN,
            *arguments,
            heap_bytes=CAP_BYTES + code_bytes,
            is_capped=True,
        ) as vm:
            await one.until(one.is_configured)
            for seq in range(1, jobs + 1):
                await _job(one, seq, [(seq % MAX_FLASKS + 1, 5), (1, 5)])
                if seq % every == 0:
                    live[seq] = await _live(vm, len(live) + 1) - code_bytes
            await _job(one, jobs + 1, _LARGEST)
            largest = await _live(vm, len(live) + 1) - code_bytes
            problems = [line for line in vm.lines if line.startswith(("err", "out", "crashed", "violation"))]
    return Heap(CAP_BYTES, code_bytes, live, largest, tuple(problems))


async def weigh(directory: Path, built: Path) -> int:
    """What the code of every module that a dispenser loads here takes of the heap."""
    async with Vm(built, directory / "none", DEVICE_MAIN, DEVICE, "secret", "127.0.0.1", NOWHERE, "") as vm:
        vm.tell("modules")
        loaded = (await vm.said("modules ")).split()[1:]
    files = [f"{name.replace('.', '/')}{end}" for name in loaded for end in (".py", "/__init__.py")]
    scales = image.build(directory / "weigh", image.INSIDE)
    image.build_unrun(scales, *files)
    lines = await boot(scales, directory / "nothing", "tests.micropython.inside.weigh:code")
    return int(next(line for line in lines if line.startswith("out code ")).split()[-1])


async def _job(one: Peer, seq: int, items: list[tuple[int, int]]) -> None:
    one.offer(seq, *items)
    await one.until(lambda: one.is_receipted(seq))


async def _live(vm: Vm, count: int) -> int:
    vm.tell("heap")
    return int((await vm.said("heap ", count)).split()[1])
