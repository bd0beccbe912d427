"""A dispenser's live heap, under the hard cap of what the chip has at the least."""

from pathlib import Path

from tests.micropython.heap import run

# Half of what an ESP32 has left with Wi-Fi and TLS: the other half is for what comes and goes.
MOST_BYTES = 50_000
# A state file with longer numbers, a last message of another length: not what a leak looks like after 15 jobs.
NOISE_BYTES = 1024


async def test_the_live_heap_stays_small_and_does_not_grow_from_job_to_job(tmp_path: Path) -> None:
    found = await run(tmp_path, jobs=30, every=15)
    assert not found.lines
    assert max(found.live_bytes.values()) < MOST_BYTES
    assert found.live_bytes[30] - found.live_bytes[15] < NOISE_BYTES
    assert found.live_after_16_items_bytes < MOST_BYTES
