"""Two boards under one name, and a board whose flash was wiped: nothing is dispensed twice, and the ledger says so."""

from pathlib import Path

from services.ledger import queries
from tests.micropython.site import DEVICE, VmSite, openings, running_site


def fault(site: VmSite) -> str | None:
    with site.database.read() as tx:
        found = queries.dispenser(tx, DEVICE)
    return found.fault if found is not None else None


async def test_a_second_board_under_the_same_name_is_reported_and_no_dose_is_given_twice(
    vm_image: Path, tmp_path: Path
) -> None:
    port = 0
    async with running_site(tmp_path, vm_image) as site:
        port = site.mosquitto.port
        async with site.dispenser(port) as first:
            before = site.order((1, 50))
            await site.until(lambda: site.is_over(before))
            async with site.dispenser(port, tmp_path / "other-flash") as second:
                await site.until(lambda: fault(site) == "name_taken")
                job = site.order((2, 100), (3, 100))
                await second.cut_power()
            assert openings(second.lines) == []
            await first.cut_power()
        # The operator has switched one off and restarts the other.
        async with site.dispenser(port, tmp_path / "other-flash") as second:
            await site.until(lambda: site.is_over(job))
            assert [flask for flask, _ms in openings(second.lines)] == [2, 3]
        assert [flask for flask, _ms in openings(first.lines)] == [1]
        assert site.job(job).state == "done"
        assert site.differences() == []


async def test_a_wiped_flash_does_not_run_the_old_job_again_and_the_ledger_says_in_doubt(
    vm_image: Path, tmp_path: Path
) -> None:
    async with running_site(tmp_path, vm_image) as site:
        async with site.dispenser(site.mosquitto.port) as vm:
            job = site.order((1, 50), (2, 60_000), (3, 50))
            await vm.said("opened 2")
            await site.until(lambda: site.job(job).items[1].state == "dispensing")
            await vm.cut_power()
        async with site.dispenser(site.mosquitto.port, tmp_path / "new-flash") as vm:
            await site.until(lambda: site.is_over(job))
            following = site.order((4, 100))
            await site.until(lambda: site.is_over(following))
            assert [flask for flask, _ms in openings(vm.lines)] == [4]
        assert [item.state for item in site.job(job).items][:2] == ["done", "in_doubt"]
        assert site.differences() == []
