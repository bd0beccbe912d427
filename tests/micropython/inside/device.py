"""A dispenser in the VM: the product's core, loop, stream and flash, with the hardware of this directory.

The host may write lines to it: `stop` presses the button, `heap` asks for `heap LIVE_BYTES`, `operations`
for `operations COUNT` of the flash, `modules` for the names of ours that are loaded.
"""

import asyncio
import random
import ssl
import sys

import _bridge  # type: ignore[import-not-found]  # made in vm.mjs

from firmware.board import flash, stream
from firmware.board.run import Board, Facts
from firmware.core.dispenser import Dispenser
from tests.micropython.inside import streams
from tests.micropython.inside.hardware import Hardware, clock
from tests.micropython.inside.memory import live_bytes

OURS = ("firmware", "protocol", "tests")


class WatchedFlash(flash.Flash):
    """Says what is written, and when that is while a gate is open."""

    def __init__(self, directory: str, hardware: Hardware) -> None:
        super().__init__(directory)
        self._hardware = hardware

    def save(self, slot: str, data: bytes) -> bool:
        """As the flash does."""
        if self._hardware.is_open:
            _bridge.say("violation: %s is saved while a flask is open" % slot)
        is_saved = super().save(slot, data)
        _bridge.say("saved %s %s" % (slot, is_saved))
        return is_saved


async def main(device: str, password: str, host: str, port: int, certificates: str, cause: str = "power_on") -> None:
    """Run until power goes. `certificates` "": without TLS."""
    tls = None
    if certificates:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        tls.load_verify_locations(cadata=certificates.encode())
        tls.verify_mode = ssl.CERT_REQUIRED
    facts = Facts()
    now_ms = clock()
    hardware = Hardware(facts.tell, now_ms)
    _watch_connects(hardware)
    asyncio.create_task(_hear(hardware))  # noqa: RUF006  # the VM's loop holds its tasks
    board = Board(
        Dispenser(device, password, "vm-1", random.getrandbits),
        facts,
        hardware,
        stream.Stream(host, port, tls, facts.tell, lambda: True),
        WatchedFlash("/flash", hardware),
        now_ms,
    )
    await board.run(cause)


async def misbehave() -> None:
    """Do what a firmware must not, to show that it is seen."""
    hardware = Hardware(lambda _fact: None, clock())
    _watch_connects(hardware)
    hardware.open(1, 100, 100, 0, 1000, 2000)
    WatchedFlash("/flash", hardware).save("state.a", b"")
    await asyncio.open_connection("127.0.0.1", 1)
    hardware.open(2, 100, 100, 0, 1000, 2000)


def _watch_connects(hardware: Hardware) -> None:
    """Say when a stream is opened, and when it should not be."""

    async def connect(*arguments: "object", **named: "object") -> "tuple[streams.Stream, streams.Stream]":
        if hardware.is_open:
            _bridge.say("violation: a stream is opened while a flask is open")
        _bridge.say("connects %d" % hardware.now_ms())
        return await streams.open_connection(*arguments, **named)  # type: ignore[arg-type]  # passed on as they are

    asyncio.open_connection = connect  # type: ignore[assignment]  # the VM's asyncio has no sockets


async def _hear(hardware: Hardware) -> None:
    while True:
        line = await _bridge.hear()
        if line == "stop":
            hardware.press()
        elif line == "modules":
            _bridge.say("modules " + " ".join([name for name in sys.modules if name.startswith(OURS)]))
        elif line == "operations":
            _bridge.say("operations %d" % _bridge.operations())
        elif line == "heap":
            _bridge.say("heap %d" % await live_bytes())
