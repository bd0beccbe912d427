"""Garbage poured over a dispenser in the VM, with the live heap told on the way."""

import asyncio
import gc
import sys

from tests.micropython.inside import runner
from tests.micropython.inside.memory import live_bytes
from tests.micropython.inside.stand_ins.random import Random

# Packets of one turn, after which memory can be cleared up.
TURN = 100


async def pour(seed: int, portions: int, count: int) -> None:
    """Pour `portions` times `count` packets; after each print `poured PACKETS OPENED LIVE_BYTES CONNECTS`."""
    runner.install()
    __import__("tests.firmware.garbage")
    downpour = sys.modules["tests.firmware.garbage"].Downpour(Random(seed))
    for portion in range(1, portions + 1):
        for _ in range(count // TURN):
            downpour.pour(TURN)
            gc.collect()
            await asyncio.sleep_ms(1)  # type: ignore[attr-defined]  # MicroPython's; see memory.py
        print("poured", portion * count, downpour.opened, await live_bytes(), downpour.connects)
