"""Garbage from a broker, poured over a dispenser in the VM."""

import time
from dataclasses import dataclass
from pathlib import Path

from tests.micropython import image
from tests.micropython.vm import Vm

# The heap is looked at so often; the first look is what the later ones are held against.
PORTIONS = 20
# What a broken message leaves until the next one: names and buffers of another length.
NOISE_BYTES = 2048

_NEEDS = ("tests/firmware/garbage.py", "tests/firmware/bench.py", "tests/firmware/broker.py")


@dataclass(frozen=True)
class Garbage:
    """`live_bytes` at each look, the code included: only how it changes says anything."""

    packets: int
    openings: int
    connects: int
    live_bytes: tuple[int, ...]
    seconds: float
    problems: tuple[str, ...]

    @property
    def growth_bytes(self) -> int:
        """From the first look to the last."""
        return self.live_bytes[-1] - self.live_bytes[0]


async def run(directory: Path, packets: int, seed: int, wait_s: float = 3600) -> Garbage:
    """Pour so many packets, in `PORTIONS` portions."""
    built = image.build(directory / "image", image.INSIDE, image.STAND_INS, *image.FIRMWARE, *_NEEDS)
    begun = time.monotonic()
    call = "tests.micropython.inside.downpour:pour"
    async with Vm(built, directory / "flash", call, seed, PORTIONS, packets // PORTIONS) as vm:
        await vm.until(
            lambda lines: len(lines) > PORTIONS or any(line.startswith("operations") for line in lines), wait_s
        )
        looks = [line.split() for line in vm.lines if line.startswith("out poured ")]
        problems = [line for line in vm.lines if not line.startswith(("out poured ", "operations "))]
    return Garbage(
        packets=int(looks[-1][2]) if looks else 0,
        openings=int(looks[-1][3]) if looks else 0,
        connects=int(looks[-1][5]) if looks else 0,
        live_bytes=tuple(int(look[4]) for look in looks) or (0,),
        seconds=round(time.monotonic() - begun, 1),
        problems=tuple(problems),
    )
