"""A program is started, stopped or killed, and started again."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pitada.local import program as module
from pitada.local.program import Program

_SOON_S = 10.0

# Each life says its number, and both of what it says arrives.
CODE = """
import pathlib, sys, time
lives = pathlib.Path(sys.argv[1])
lives.write_text(lives.read_text() + "x" if lives.exists() else "x")
print("life", len(lives.read_text()), flush=True)
time.sleep(600)
"""

DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _SOON_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def code_of(process: "subprocess.Popen[bytes] | None") -> int | None:
    assert process is not None
    return process.returncode


def test_it_writes_its_log_while_the_block_runs_and_is_gone_after_it(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "sleeper.log"
    with Program([sys.executable, "-c", CODE, str(tmp_path / "lives")], os.environ, log) as sleeper:
        until(lambda: log.exists() and log.read_text() == "life 1\n")
        assert sleeper.running
        process = sleeper._process
    assert (sleeper.running, sleeper.pid, code_of(process)) == (False, None, -signal.SIGTERM)


def test_what_it_said_is_of_its_latest_life_and_the_log_has_all(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with Program([sys.executable, "-c", CODE, "lives"], os.environ, log, cwd=tmp_path) as sleeper:
        until(lambda: sleeper.said == "life 1\n")
        process = sleeper._process
        sleeper.kill()
        assert (sleeper.running, code_of(process)) == (False, -signal.SIGKILL)
        sleeper.start()
        until(lambda: sleeper.said == "life 2\n")
    assert log.read_text() == "life 1\nlife 2\n"


def test_one_that_does_not_hear_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_STOP_S", 0.1)
    with Program([sys.executable, "-c", DEAF], os.environ, tmp_path / "log") as deaf:
        until(lambda: deaf.said == "deaf\n")
        process = deaf._process
    assert (deaf.running, code_of(process)) == (False, -signal.SIGKILL)


def test_one_that_never_ran_or_has_ended_is_stopped_without_ado(tmp_path: Path) -> None:
    brief = Program([sys.executable, "-c", "pass"], os.environ, tmp_path / "log")
    assert (brief.said, brief.running) == ("", False)
    brief.stop()
    brief.start()
    until(lambda: not brief.running)
    brief.stop()
    assert brief.pid is None
