"""A boot in the middle of a job: the job goes on at once, and the item that was open is in doubt."""

from pathlib import Path

from tests.micropython.boots import WITHIN_S, run


async def test_a_job_goes_on_within_a_second_of_the_boot_and_the_open_item_is_in_doubt(
    vm_image: Path, tmp_path: Path
) -> None:
    found = await run(tmp_path, vm_image, tries=1)
    assert found.problems == ()
    assert max(found.resumed_s) < WITHIN_S
