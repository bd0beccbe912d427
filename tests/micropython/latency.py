"""How late a flask closes while the network does its worst, and what the firmware starts meanwhile."""

import asyncio
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
FLOOD = 1000
TROUBLES = ("calm", "flood", "stall", "reconnect")


@dataclass(frozen=True)
class Latency:
    """`late_ms` of every opening under each trouble, and what must not be: `problems`."""

    late_ms: dict[str, list[int]]
    flooded: int
    problems: tuple[str, ...]


async def run(directory: Path, image: Path, tries: int) -> Latency:
    """Open a flask `tries` times under each trouble."""
    late: dict[str, list[int]] = {trouble: [] for trouble in TROUBLES}
    async with (
        peer(flask(1, settle_ms=0), flask(2, settle_ms=0)) as one,
        Vm(image, directory, DEVICE_MAIN, DEVICE, "secret", "127.0.0.1", one.port, "") as vm,
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
                late[trouble].append(int((await vm.said("closed ", seq)).split()[3]))
                if trouble == "stall":
                    one.resume()
                await one.until(lambda wanted=seq: one.is_receipted(wanted))  # type: ignore[misc]  # binds now
        flooded = len(one.broker.acknowledged) - acknowledged
        problems = [line for line in vm.lines if line.startswith(("violation", "crashed", "out", "err"))]
        problems += started_while_open(vm.lines)
    return Latency(late, flooded, tuple(problems))


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


async def _strike(one: Peer, trouble: str) -> None:
    assert one.writer is not None
    if trouble == "flood":
        topic = topics.OFFER.topic(DEVICE)
        one.writer.write(b"".join([one.broker.message(topic, b'{"job":"none","seq":%d}' % n) for n in range(FLOOD)]))
    elif trouble == "stall":
        one.pause()
    elif trouble == "reconnect":
        one.writer.transport.abort()
        await asyncio.sleep(0)
