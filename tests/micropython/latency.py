"""How late a flask closes while the network does its worst, and what the firmware starts meanwhile."""

import asyncio
import statistics
from dataclasses import dataclass
from pathlib import Path

from protocol import topics
from tests.firmware.bench import flask
from tests.firmware.broker import DEVICE
from tests.firmware.peer import Peer, peer
from tests.micropython.site import DEVICE_MAIN
from tests.micropython.vm import Vm

# Long enough for the flood to pass through while the flask is open.
OPEN_MS = 600
LATE_MS = 10
# A turn of the loop sees the button, the next one gives it to the core; in a flood each handles some packets first.
STOP_MS = 50
FLOOD = 1000
# To clear up a large heap takes longer than a flask may be late; the chip has none.
HEAP_BYTES = 512 << 10
TROUBLES = ("calm", "flood", "stall", "reconnect")
# Longer than anybody waits before the button is pressed.
_STOPPED_MS = 60_000


@dataclass(frozen=True)
class Latency:
    """`late_ms` of every opening under each trouble; `stop_ms` from the button to the closed flask in a flood, stalled.

    `turn_us` is the most processor time that a turn of the loop took, of every opening under each trouble; `problems`
    must be empty.
    """

    late_ms: dict[str, list[int]]
    turn_us: dict[str, list[int]]
    stop_ms: list[int]
    flooded: int
    problems: tuple[str, ...]

    @property
    def held(self) -> bool:
        """A flask was on time, and no turn long, more often than not under each trouble.

        A firmware that blocks does so every time. The host may have other work at any moment, as may the VM's own V8.
        """
        usual_ms = max(statistics.median(late) for late in self.late_ms.values())
        usual_us = max(statistics.median(turns) for turns in self.turn_us.values())
        is_on_time = usual_ms <= LATE_MS and usual_us <= LATE_MS * 1000
        return is_on_time and statistics.median(self.stop_ms) <= STOP_MS


async def run(directory: Path, image: Path, tries: int) -> Latency:
    """Open a flask `tries` times under each trouble."""
    late: dict[str, list[int]] = {trouble: [] for trouble in TROUBLES}
    turn_us: dict[str, list[int]] = {trouble: [] for trouble in TROUBLES}
    stop_ms: list[int] = []
    async with (
        peer(flask(1, settle_ms=0), flask(2, settle_ms=0)) as one,
        Vm(image, directory, DEVICE_MAIN, *(DEVICE, "secret", "127.0.0.1", one.port, ""), heap_bytes=HEAP_BYTES) as vm,
    ):
        await one.until(one.is_configured)
        acknowledged = len(one.broker.acknowledged)
        seq = 0
        for _ in range(tries):
            for trouble in TROUBLES:
                seq += 1
                await one.until(lambda: one.statuses()[-1].job is None and one.broker.listening)
                one.offer(seq, (1, OPEN_MS))
                await vm.said("opened ", seq)
                await _strike(one, trouble)
                _closed, _flask, _open_ms, late_ms, longest_us = (await vm.said("closed ", seq)).split()
                late[trouble].append(int(late_ms))
                turn_us[trouble].append(int(longest_us))
                if trouble == "stall":
                    one.resume()
                await one.until(lambda wanted=seq: one.is_receipted(wanted))  # type: ignore[misc]  # binds now
            seq += 1
            stop_ms.append(await _stop(one, vm, seq))
        flooded = len(one.broker.acknowledged) - acknowledged
        problems = [line for line in vm.lines if line.startswith(("violation", "crashed", "out", "err"))]
        problems += started_while_open(vm.lines)
    return Latency(late, turn_us, stop_ms, flooded, tuple(problems))


def started_while_open(lines: list[str]) -> list[str]:
    """Connects between the opening and the closing of a flask."""
    found = []
    is_open = False
    for line in lines:
        if line.startswith(("opened ", "closed ")):
            is_open = line.startswith("opened ")
        elif is_open and line.startswith("connects "):
            found.append(line)
    return found


async def _stop(one: Peer, vm: Vm, seq: int) -> int:
    """Milliseconds from the button to the closed flask."""
    await one.until(lambda: one.statuses()[-1].job is None and one.broker.listening)
    one.offer(seq, (1, _STOPPED_MS))
    opened = await vm.said("opened ", seq)
    _flood(one, FLOOD // 5)
    one.pause()
    pressed = len([line for line in vm.lines if line.startswith("pressed ")]) + 1
    vm.tell("stop")
    pressed_ms = int((await vm.said("pressed ", pressed)).split()[1])
    closed = await vm.said("closed ", seq)
    one.resume()
    await one.until(lambda: one.is_receipted(seq))
    return int(opened.split()[2]) + int(closed.split()[2]) - pressed_ms


async def _strike(one: Peer, trouble: str) -> None:
    assert one.writer is not None
    if trouble == "flood":
        _flood(one, FLOOD)
    elif trouble == "stall":
        one.pause()
    elif trouble == "reconnect":
        one.writer.transport.abort()
        await asyncio.sleep(0)


def _flood(one: Peer, count: int) -> None:
    assert one.writer is not None
    topic = topics.OFFER.topic(DEVICE)
    one.writer.write(b"".join([one.broker.message(topic, b'{"job":"none","seq":%d}' % n) for n in range(count)]))
