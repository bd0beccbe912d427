"""A dispenser's live heap, under the hard cap of what the chip has at the least."""

from pathlib import Path

from tests.micropython.heap import MOST_BYTES, NOISE_BYTES, run


async def test_the_live_heap_stays_small_and_does_not_grow_from_job_to_job(tmp_path: Path) -> None:
    found = await run(tmp_path, jobs=16, every=8)
    assert not found.problems
    assert max(found.live_bytes.values()) < MOST_BYTES
    assert found.live_bytes[16] - found.live_bytes[8] < NOISE_BYTES
    assert found.live_after_16_items_bytes < MOST_BYTES
