"""What is killed or ends is started again, for as long as it takes."""

import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pitada.local.program import Program
from tests.chaos.restarter import Restarter, children

_SOON_S = 10.0

# Its child outlives it, for longer than a test waits, unless it is killed too.
PARENT = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(20)'], check=True)"


def program(tmp_path: Path, code: str) -> Program:
    return Program([sys.executable, "-c", code], {}, tmp_path / "log")


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _SOON_S
    while not holds():
        assert time.monotonic() < deadline
        threading.Event().wait(0.01)


def is_gone(pid: int) -> bool:
    """It has ended, whether somebody has taken leave of it or not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_what_is_killed_is_back_with_nobody_left_of_its_family(tmp_path: Path) -> None:
    part = program(tmp_path, PARENT)
    with Restarter() as running:
        running.start("part", part)
        until(lambda: bool(children(part.pid)))
        pid, (child,) = part.pid, children(part.pid)
        assert running.kill("part")
        until(lambda: part.running and part.pid != pid)
        until(lambda: is_gone(child))
        assert running.ended == {}
    assert not part.running


def test_what_ends_by_itself_is_back_too_and_is_counted(tmp_path: Path) -> None:
    part = program(tmp_path, "pass")
    with Restarter() as running:
        running.start("part", part)
        until(lambda: running.ended["part"] >= 2)


class Reluctant:
    """Starts at its third try only."""

    running = False
    pid = None

    def __init__(self) -> None:
        self.tries = 0

    def start(self) -> None:
        self.tries += 1
        if 1 < self.tries < 4:
            raise OSError("not yet")
        self.running = self.tries >= 4

    def stop(self) -> None:
        self.running = False


def test_what_does_not_start_is_tried_until_it_does() -> None:
    part = Reluctant()
    with Restarter() as running:
        running.start("part", part)
        until(lambda: part.running)
        assert part.tries == 4
        assert not running.kill("part")


def test_what_cannot_start_the_first_time_says_so(tmp_path: Path) -> None:
    with Restarter() as running, pytest.raises(FileNotFoundError):
        running.start("part", Program(["/there/is/none"], {}, tmp_path / "log"))
