"""Power cuts in the VM: the firmware as a chip would run it, killed at its flash operations."""

from pathlib import Path

from tests.micropython import power_cuts


async def test_no_cut_opens_a_flask_twice_or_leaves_a_report_untrue(vm_image: Path, tmp_path: Path) -> None:
    figures = await power_cuts.run(tmp_path, vm_image, sizes=(2,), every=8)
    assert figures.held, figures
    assert figures.cuts >= 6
    assert figures.torn
    assert figures.double
