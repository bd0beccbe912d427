"""A power cut at the flash operations of a job in the VM: nothing is dispensed twice, nothing is forgotten."""

from pathlib import Path

from tests.micropython.cuts import run


async def test_cuts_during_a_job_repeat_nothing_and_what_is_unknown_is_in_doubt(vm_image: Path, tmp_path: Path) -> None:
    found = await run(tmp_path, vm_image, [2], seed=1, every=4, doubles=False)
    assert found.held, found
    assert found.cuts >= 6
    assert found.in_doubt > 0
