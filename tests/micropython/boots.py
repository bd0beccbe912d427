"""How soon a job that power interrupted goes on."""

import time
from dataclasses import dataclass
from pathlib import Path

from tests.firmware.bench import flask
from tests.firmware.broker import DEVICE
from tests.firmware.peer import peer
from tests.micropython.site import DEVICE_MAIN
from tests.micropython.vm import Vm

# The longest a person should wait for the rest of a job, counted from the start of the process.
WITHIN_S = 1.0


@dataclass(frozen=True)
class Boots:
    """From power to the next open flask, of each boot; and what must not be."""

    resumed_s: list[float]
    problems: tuple[str, ...]


async def run(directory: Path, image: Path, tries: int) -> Boots:
    """Interrupt as many jobs in the middle of an opening, and boot."""
    resumed_s = []
    problems = []
    async with peer(*[flask(number, settle_ms=0) for number in range(1, 5)]) as one:
        account = (DEVICE, "secret", "127.0.0.1", one.port, "")
        for seq in range(1, tries + 1):
            async with Vm(image, directory, DEVICE_MAIN, *account) as vm:
                before = one.broker.connects
                await one.until(lambda count=before: one.broker.connects > count and one.is_configured())  # type: ignore[misc]  # binds now
                one.offer(seq, (1, 10), (2, 60_000), (3, 10), (4, 20))
                await vm.said("opened 2")
            async with Vm(image, directory, DEVICE_MAIN, *account) as vm:
                await vm.said("opened 3")
                resumed_s.append(round(time.monotonic() - vm.started_at, 3))
                await one.until(lambda wanted=seq: one.is_receipted(wanted))  # type: ignore[misc]  # binds now
                problems += [line for line in vm.lines if line.startswith(("opened 1", "opened 2", "violation"))]
            states = [item.state for item in one.completions()[-1].items]
            if states != ["done", "in_doubt", "done", "done"]:
                problems.append(f"job {seq} ended as {states}")
    return Boots(resumed_s, tuple(problems))
