"""The firmware in the VM against the real services, over real Mosquitto with TLS, with an account of its own."""

from pathlib import Path

from tests.micropython.outages import run
from tests.micropython.site import openings, running_site


async def test_jobs_go_from_the_offer_to_the_receipt_one_after_the_other(vm_image: Path, tmp_path: Path) -> None:
    async with running_site(tmp_path, vm_image) as site, site.dispenser(site.mosquitto.port) as vm:
        first = site.order((1, 100), (2, 300), (1, 50))
        second = site.order((4, 400))
        await site.until(lambda: site.is_over(first, second))
        assert [flask for flask, _ms in openings(vm.lines)] == [1, 2, 1, 4]
        report = site.job(first)
        assert report.state == "done"
        assert [item.state for item in report.items] == ["done"] * 3
        assert [item.duration_ms for item in report.items] == [open_ms for _flask, open_ms in openings(vm.lines)[:3]]
        assert site.differences() == []
        vm.lines.append("closed 1 7 0")
        assert len(site.differences()) == 1, "an opening that the ledger does not know is seen"


async def test_every_job_ends_through_outages_and_the_ledger_equals_what_left_the_flasks(
    vm_image: Path, tmp_path: Path
) -> None:
    found = await run(tmp_path, vm_image, pulls=1, kills=1, seed=5)
    assert found.problems == ()
    assert found.jobs_done == found.jobs == 2
