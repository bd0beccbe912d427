"""How many bytes of the heap the code of the modules takes: they were built to be loaded and not run."""

import gc
import os


async def code() -> None:
    """Print `code N` for all modules named unrun_*."""
    gc.collect()
    before = gc.mem_alloc()  # type: ignore[attr-defined]  # MicroPython's
    for name in os.listdir("/lib"):
        if name.startswith("unrun_"):
            __import__(name.split(".")[0])
    gc.collect()
    print("code", gc.mem_alloc() - before)  # type: ignore[attr-defined]  # MicroPython's
