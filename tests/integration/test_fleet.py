"""`pitada fleet` at a house that runs, as a user runs it: two hundred dispensers, and Ctrl-C in the middle of jobs."""

import json
import os
import signal
import subprocess
import time
import urllib.parse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import PITADA

DISPENSERS = 200
JOBS = 60


def fleet_command(said: dict[str, Any], *options: str) -> list[str]:
    """A fleet at the house that said where it is reached."""
    sign_in = urllib.parse.urlsplit(said["sign_in"])
    places = ("--url", f"{sign_in.scheme}://{sign_in.netloc}", "--broker-port", str(said["broker_port"]))
    return [str(PITADA), "fleet", *places, *options, "--json"]


@pytest.mark.timeout(120)
def test_two_hundred_dispensers_connect_work_and_diverge_nowhere_and_ctrl_c_ends_with_the_summary(
    background: Callable[..., Any], tmp_path: Path
) -> None:
    said = background("up", "--http-port", "0", "--broker-port", "0").first_line()
    environment = {**os.environ, "PITADA_DATA_DIR": str(tmp_path / "data"), "NO_COLOR": "1"}
    options = (
        "--dispensers",
        str(DISPENSERS),
        "--plan",
        "solid",
        "--fault",
        "jam",
        "--fault",
        "power_cut",
        "--ramp",
        "200",
    )
    orders = ("--jobs", str(JOBS), "--rate", "50", "--exit")
    ended = subprocess.run(
        fleet_command(said, *options, *orders), capture_output=True, text=True, timeout=90, env=environment, check=False
    )
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout.splitlines()[-1])
    assert (found["placed"], found["ended"], found["refused"], found["not_judged"]) == (JOBS, JOBS, 0, 0)
    assert (found["divergences"], found["double_dispenses"], found["problems"]) == (0, 0, [])
    assert sum(found["jobs"].values()) == found["settle"]["count"] == JOBS
    assert found["faults"]["jam"] > 0
    assert found["boots"] == DISPENSERS + found["faults"]["power_cut"] > DISPENSERS
    stopped_in_the_middle(fleet_command(said, "--dispensers", "20", "--rate", "20"), environment, tmp_path)


def stopped_in_the_middle(command: list[str], environment: dict[str, str], directory: Path) -> None:
    """The ledger is judged for whoever has no job in hand, and nothing is a failure."""
    flash = directory / "data" / "simulated-flash"
    before = {file: file.stat().st_mtime_ns for file in flash.glob("*/done.*")}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment, text=True
    ) as fleet:
        try:
            # A report in flash that was not there before: jobs are under way.
            while {file: file.stat().st_mtime_ns for file in flash.glob("*/done.*")} == before:
                assert fleet.poll() is None
                time.sleep(0.05)
            fleet.send_signal(signal.SIGINT)
            out, _nothing = fleet.communicate(timeout=20)
        finally:
            fleet.kill()
    found = json.loads(out.splitlines()[-1])
    assert fleet.returncode == 0
    assert (found["divergences"], found["double_dispenses"], found["problems"]) == (0, 0, [])
    assert found["placed"] > 0
