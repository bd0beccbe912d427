"""How many bytes of the heap the code of the modules takes: they were built to be loaded and not run."""

import os

from tests.micropython.inside.memory import live_bytes


async def code() -> None:
    """Print `code N`: what all modules named unrun_* take beyond as many that are empty."""
    empty = await _taken("empty_")
    print("code", await _taken("unrun_") - empty)


async def _taken(start: str) -> int:
    before = await live_bytes()
    for name in os.listdir("/lib"):
        if name.startswith(start):
            __import__(name.split(".")[0])
    return await live_bytes() - before
