"""Power cuts at the flash operations of the firmware in the VM; jobs and judge are those of `make power-cuts`."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

from protocol.messages import ItemProgressed
from tests.firmware.bench import flask
from tests.firmware.broker import DEVICE
from tests.firmware.peer import Peer, peer
from tests.micropython.site import DEVICE_MAIN, openings
from tests.micropython.vm import Vm
from tests.power_cuts.shapes import Ending, Figures, Shape, shape_of

# A cut: at which flash operation of its boot, after how many bytes of the file that is written (-1: none).
Cut = tuple[int, int]

SIZES = (1, 2, 4, 16)

# A gate closes in a turn of the VM's loop, and the machine may have much else to do.
_LATE_MS = 500
_OFFER_EVERY_S = 0.5
_TRIAL_S = 60.0


def quick_shape(size: int) -> Shape:
    """Openings of some milliseconds: what counts here are the operations."""
    return shape_of(size, 5, 1)


async def run(directory: Path, image: Path, sizes: tuple[int, ...] = SIZES, every: int = 1) -> Figures:
    """Cut at every n-th operation: before it, in the middle of its bytes, and again in the boot after."""
    figures = Figures()
    for size in sizes:
        shape = quick_shape(size)
        for number, at in enumerate(_operations(every)):
            happened = 0
            for cuts in ([(at, -1)], [(at, 7 * at)], [(at, -1), (1 + number % 6, 0)]):
                place = directory / f"{size}-{at}-{len(cuts)}-{cuts[0][1]}"
                ending, done = await trial(place, image, shape, cuts)
                figures.take(shape, ending)
                happened += done
                figures.cuts += done
                figures.double += done if len(cuts) > 1 else 0
                figures.torn += done if cuts[0][1] >= 0 else 0
                figures.before += done if cuts[0][1] < 0 and len(cuts) == 1 else 0
            if not happened:
                break
    return figures


async def trial(directory: Path, image: Path, shape: Shape, cuts: list[Cut]) -> tuple[Ending, int]:
    """One job through the cuts, on a new flash; how it ended, and how many cuts there were."""
    opened: list[tuple[int, int]] = []
    done = 0
    async with peer(*[flask(number, settle_ms=0) for number, _mg in shape]) as server:
        try:
            async with asyncio.timeout(_TRIAL_S):
                for cut in [*cuts, (0, -1)]:
                    account = (DEVICE, "secret", "127.0.0.1", server.port, "")
                    at, torn = cut
                    async with Vm(image, directory, DEVICE_MAIN, *account, cut_at=at, torn_bytes=torn) as vm:
                        await _serve(server, shape, vm)
                    opened += openings(vm.lines)
                    was_cut = any(line.startswith("cut ") for line in vm.lines)
                    done += was_cut
                    if not was_cut:
                        break
        except TimeoutError:
            return Ending(opened, [], f"not over in {_TRIAL_S} s", _LATE_MS), done
        return Ending(opened, server.completions(), "", _LATE_MS), done


async def _serve(server: Peer, shape: Shape, vm: Vm) -> None:
    """Until the job is receipted or power is gone, offer it while the dispenser neither has it nor began it."""
    loop = asyncio.get_running_loop()
    offer_at_s = loop.time()
    while vm.is_running and not (server.completions() and server.is_receipted(1)):
        begun = any(isinstance(one.record, ItemProgressed) for one in server.broker.sent)
        if server.is_configured() and not begun and server.statuses()[-1].job is None and loop.time() >= offer_at_s:
            server.offer(1, *shape)
            offer_at_s = loop.time() + _OFFER_EVERY_S
        await asyncio.sleep(0.005)


def _operations(every: int) -> Iterator[int]:
    at = 1
    while True:
        yield at
        at += every
