"""How many bytes of the heap the code of the modules takes: they were built to be loaded and not run."""

import gc
import os


async def code() -> None:
    """Print `code N`: what all modules named unrun_* take beyond as many that are empty."""
    empty = _taken("empty_")
    print("code", _taken("unrun_") - empty)


def _taken(start: str) -> int:
    gc.collect()
    before = gc.mem_alloc()  # type: ignore[attr-defined]  # MicroPython's
    for name in os.listdir("/lib"):
        if name.startswith(start):
            __import__(name.split(".")[0])
    gc.collect()
    taken: int = gc.mem_alloc() - before  # type: ignore[attr-defined]  # MicroPython's
    return taken
