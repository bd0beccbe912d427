"""Garbage from the broker leaves the VM alive and its heap as it was."""

from pathlib import Path

from tests.micropython.garbage import NOISE_BYTES, run


async def test_garbage_neither_ends_the_vm_nor_opens_a_flask_nor_stays_in_memory(tmp_path: Path) -> None:
    found = await run(tmp_path, packets=2000, seed=3)
    assert found.problems == ()
    assert (found.packets, found.openings) == (2000, 0)
    assert found.growth_bytes < NOISE_BYTES
