"""The live heap.

This port clears up only between two turns of its event loop, never within one: no kinder than the chip, where a turn
clears up whenever it has to.
"""

import asyncio
import gc

import _bridge  # type: ignore[import-not-found]  # made in vm.mjs


async def live_bytes() -> int:
    """What is in use after clearing up."""
    await _bridge.settle()
    for _ in range(2):
        gc.collect()
        await asyncio.sleep_ms(1)  # type: ignore[attr-defined]  # MicroPython's; the end of the turn
    live: int = gc.mem_alloc()  # type: ignore[attr-defined]  # MicroPython's
    return live
