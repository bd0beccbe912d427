"""The installed `pitada` command, run as a user runs it, and real servers where a test asks for them."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

PITADA = Path(sys.executable).with_name("pitada")

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def pitada(tmp_path: Path) -> Run:
    """Runs one command to its end, its data in a directory of the test's own."""

    def run(*arguments: str, timeout: float = 60) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [str(PITADA), *arguments],
            check=False,
            capture_output=True,
            text=True,
            timeout=timeout,
            env={**os.environ, "PITADA_DATA_DIR": str(tmp_path / "data"), "NO_COLOR": "1"},
        )

    return run


class Background:
    """A `pitada` command that runs on; its first line of JSON says where it is reached."""

    def __init__(self, arguments: list[str], environment: dict[str, str], log: Path) -> None:
        self._log = log.open("wb")
        self.process = subprocess.Popen(
            [str(PITADA), *arguments], stdout=subprocess.PIPE, stderr=self._log, text=True, env=environment
        )

    def first_line(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, Path(self._log.name).read_text()
        found: dict[str, Any] = json.loads(line)
        return found

    def kill(self) -> None:
        """As a power cut would: no goodbye."""
        self.process.kill()
        self.process.wait(10)

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(20)
        finally:
            self.process.kill()
            if self.process.stdout is not None:
                self.process.stdout.close()
            self._log.close()


@pytest.fixture
def background(tmp_path: Path) -> Iterator[Callable[..., Background]]:
    """Starts commands that are stopped, the latest first, when the test ends."""
    with contextlib.ExitStack() as stack:

        def start(*arguments: str) -> Background:
            environment = {**os.environ, "PITADA_DATA_DIR": str(tmp_path / "data"), "NO_COLOR": "1"}
            log = tmp_path / f"{arguments[0]}-{time.monotonic_ns()}.log"
            running = Background(list(arguments), environment, log)
            stack.callback(running.stop)
            return running

        yield start


@pytest.fixture
def until() -> Callable[..., Any]:
    """Asks `ask()` until it returns something true; fails, with the last answer, at the deadline."""

    async def wait(ask: Callable[[], Any], within_s: float = 30) -> Any:
        deadline = time.monotonic() + within_s
        while True:
            answer = await asyncio.to_thread(ask)
            if answer:
                return answer
            assert time.monotonic() < deadline, f"not within {within_s} s"
            await asyncio.sleep(0.1)

    return wait
