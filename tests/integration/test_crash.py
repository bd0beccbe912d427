"""`kill -9` of the whole house in the middle of jobs, then a restart: every job ends and the audit is clean."""

import json
import socket
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from protocol.states import JOB_ENDS

JOBS = 12


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.mark.timeout(180)
async def test_after_kill_9_in_the_middle_of_jobs_everything_ends_and_the_audit_is_clean(
    pitada: Callable[..., "subprocess.CompletedProcess[str]"],
    background: Callable[..., Any],
    until: Callable[..., Any],
) -> None:
    def read(*arguments: str) -> Any:
        ended = pitada(*arguments, "--json")
        assert ended.returncode == 0, ended.stderr
        return json.loads(ended.stdout)

    def states() -> list[str]:
        return [job["state"] for job in read("jobs")]

    port = str(free_port())
    up = ("up", "--broker-port", port, "--http-port", "0")
    house = background(*up)
    house.first_line()
    background("fleet", "--dispensers", "3", "--broker-port", port, "--plan", "solid")
    await until(lambda: all(one["online"] for one in read("devices", "list")) and len(read("devices", "list")) == 3)
    for number in range(JOBS):
        read("order", f"sim-{number % 3 + 1:04}", "1=20", "2=15", "3=10")

    for kills in range(3):
        # Some jobs have ended, some have not: the middle.
        await until(lambda kills=kills: sum(state in JOB_ENDS for state in states()) > kills * 2)
        assert set(states()) - set(JOB_ENDS)
        house.kill()
        house = background(*up)
        house.first_line()

    await until(lambda: set(states()) <= set(JOB_ENDS), within_s=90)
    found = read("audit")
    assert found["divergences"] == 0
    assert found["problems"] == []
    assert states() == ["done"] * JOBS
    assert found["items_done"] == JOBS * 3
