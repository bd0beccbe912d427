"""A boot: how soon a job that power interrupted goes on."""

import time
from pathlib import Path

from tests.firmware.bench import flask
from tests.firmware.broker import DEVICE
from tests.firmware.peer import peer
from tests.micropython.site import DEVICE_MAIN
from tests.micropython.vm import Vm

# From the start of the process, which is slower than the chip's power: the issue of every cut is who waits for it.
RESUMED_WITHIN_S = 1.0


async def test_a_job_goes_on_within_a_second_of_the_boot_and_the_open_item_is_in_doubt(
    vm_image: Path, tmp_path: Path
) -> None:
    async with peer(*[flask(number, settle_ms=0) for number in range(1, 5)]) as one:
        arguments = (DEVICE, "secret", "127.0.0.1", one.port, "")
        async with Vm(vm_image, tmp_path, DEVICE_MAIN, *arguments) as vm:
            await one.until(one.is_configured)
            one.offer(1, (1, 10), (2, 60_000), (3, 10), (4, 20))
            await vm.said("opened 2")
            await vm.cut_power()
        async with Vm(vm_image, tmp_path, DEVICE_MAIN, *arguments) as vm:
            await vm.said("opened 3")
            took_s = time.monotonic() - vm.started_at
            await one.until(lambda: one.is_receipted(1))
            assert not [line for line in vm.lines if line.startswith(("opened 1", "opened 2"))]
    assert [item.state for item in one.completions()[-1].items] == ["done", "in_doubt", "done", "done"]
    assert took_s < RESUMED_WITHIN_S
