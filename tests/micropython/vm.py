"""Boots of MicroPython: one Node process each, with its output as lines."""

import asyncio
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.programs import absent, need

PLACE = Path(__file__).parent
PACKAGE = PLACE / "node_modules/@micropython/micropython-webassembly-pyscript/micropython.mjs"

# A port where nobody listens: a dispenser does its work all the same.
NOWHERE = 9

# Room for anything but a leak without end: only a capped heap says something about the chip.
ROOMY_BYTES = 16 << 20
# A boot takes a fraction of a second; a machine with much else to do takes longer.
WAIT_S = 60.0


class VmFailed(Exception):
    """The machine ended when it should not have, or did not say what it was to say."""


class Vm:
    """`async with Vm(image, flash, "module:function", …) as vm:` is one boot; at the end its power goes.

    `lines` is all it said. `cut_at` n: its power goes at the n-th flash operation, after `torn_bytes` of the file that
    is being written (-1: none).
    """

    def __init__(
        self,
        image: Path,
        flash: Path,
        call: str,
        *arguments: object,
        heap_bytes: int = ROOMY_BYTES,
        is_capped: bool = False,
        cut_at: int = 0,
        torn_bytes: int = -1,
    ) -> None:
        self._options = json.dumps(
            {
                "lib": str(image),
                "flash": str(flash),
                "call": call,
                "arguments": arguments,
                "heap_bytes": heap_bytes,
                "is_capped": is_capped,
                "cut_at": cut_at,
                "torn_bytes": torn_bytes,
            }
        )
        self.lines: list[str] = []
        self.started_at = 0.0
        self._said = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        node = need("node")
        if not PACKAGE.exists():
            absent("the MicroPython VM is not installed in tests/micropython")
        self.started_at = time.monotonic()
        self._process = await asyncio.create_subprocess_exec(
            node,
            "--expose-gc",
            str(PLACE / "vm.mjs"),
            self._options,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={"PATH": os.environ.get("PATH", "")},
            limit=1 << 20,
        )
        self._reader = asyncio.create_task(self._read(self._process))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.cut_power()

    @property
    def is_running(self) -> bool:
        """It has power, and its main task has not ended."""
        return self._process is not None and self._process.returncode is None

    async def cut_power(self) -> None:
        """SIGKILL: what is in flash is what was durable. What it said before can still be read."""
        assert self._process is not None
        if self._process.returncode is None:
            self._process.kill()
        await self.ended()

    async def ended(self) -> int:
        """Wait for the end of the process; its exit code, 0 when the main task returned."""
        assert self._process is not None
        assert self._reader is not None
        await asyncio.wait_for(self._reader, WAIT_S)
        return await self._process.wait()

    def tell(self, line: str) -> None:
        """What a person does to the dispenser; see inside/device.py."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")

    async def until(self, happened: Callable[[list[str]], bool], wait_s: float = WAIT_S) -> None:
        """Wait until the lines are so. Raises `VmFailed` with the last of them when they are not in time."""
        try:
            async with asyncio.timeout(wait_s):
                while not happened(self.lines):
                    if self._reader is not None and self._reader.done():
                        raise VmFailed(f"it ended first: {self.lines[-20:]}")
                    self._said.clear()
                    await self._said.wait()
        except TimeoutError:
            raise VmFailed(f"not within {wait_s} s; it said last: {self.lines[-20:]}") from None

    async def said(self, start: str, count: int = 1) -> str:
        """Wait for the `count`-th line that begins so; returns it."""
        await self.until(lambda lines: len([line for line in lines if line.startswith(start)]) >= count)
        return [line for line in self.lines if line.startswith(start)][count - 1]

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            self.lines.append(line.decode(errors="replace").rstrip("\n"))
            self._said.set()
        self._said.set()


async def boot(image: Path, flash: Path, call: str, *arguments: object) -> list[str]:
    """One boot to the end of its main task. Raises `VmFailed` unless it ended well."""
    async with Vm(image, flash, call, *arguments) as vm:
        if await vm.ended():
            raise VmFailed("\n".join(vm.lines[-40:]))
        return vm.lines
