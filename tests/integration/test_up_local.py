"""Five processes of one machine, TLS between them: what dies is started again, and nothing is lost or left running."""

import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from protocol.states import JOB_ENDS
from services.ledger import queries
from services.ledger.database import Database
from tests.integration.conftest import PITADA
from tests.programs import need

DISPENSERS = 6
JOBS = 24


@pytest.fixture
def directory() -> Iterator[Path]:
    # Not in pytest's own directory: run by root, PostgreSQL is another user, who may not enter that one.
    path = Path(tempfile.mkdtemp(prefix="pitada-up-local-"))
    yield path
    shutil.rmtree(path)


@pytest.mark.timeout(180)
def test_a_fleet_over_tls_is_served_through_kill_9_of_a_service_and_nothing_is_left_running(
    directory: Path, background: Callable[..., Any], until: Callable[..., Any], tmp_path: Path
) -> None:
    need("mosquitto")
    house = background("up-local", "--directory", str(directory), "--http-port", "0", "--broker-port", "0")
    said = house.first_line()
    assert set(said["pids"]) == {"postgresql", "mosquitto", "ingest", "dispatch", "dashboard"}
    environment = {**os.environ, **exported(Path(said["settings"]))}
    password = Path(environment["PITADA_DATABASE_PASSWORD_FILE"]).read_text()
    ledger = Database(environment["PITADA_DATABASE_URL"], password)
    command = [str(PITADA), "fleet", "--dispensers", str(DISPENSERS), "--jobs", str(JOBS), "--exit", "--json"]

    def ended() -> int:
        with ledger.read() as tx:
            counts = queries.job_counts(tx)
        return sum(counts[state] for state in JOB_ENDS)

    with (
        contextlib.closing(ledger),
        (tmp_path / "fleet.log").open("wb") as fleet_log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=fleet_log, env=environment, text=True) as fleet,
    ):
        try:
            asyncio.run(until(lambda: 0 < ended() < JOBS))
            os.kill(said["pids"]["ingest"], signal.SIGKILL)
            summary = json.loads(fleet.communicate(timeout=120)[0].splitlines()[-1])
        finally:
            fleet.kill()

    assert (summary["divergences"], summary["double_dispenses"], summary["problems"]) == (0, 0, [])
    assert sum(summary["jobs"].values()) == JOBS
    assert set(summary["jobs"]) <= set(JOB_ENDS)
    log = next(tmp_path.glob("up-local-*.log")).read_text()
    assert re.findall(r'"process": "(\w+)", "pid": \d+, "event": "started again"', log) == ["ingest"]
    assert house.stop() == 0
    assert running_in(directory) == []


def exported(file: Path) -> dict[str, str]:
    """The variables that a shell has after reading the file."""
    shell = subprocess.run(["sh", "-c", f". {file}; env -0"], check=True, capture_output=True, text=True)
    return dict(line.split("=", 1) for line in shell.stdout.split("\0") if line.startswith("PITADA_"))


def running_in(directory: Path) -> list[str]:
    """The command lines of processes that have the directory in their command or environment."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            try:
                command = (folder / "cmdline").read_bytes()
                about = command + (folder / "environ").read_bytes()
            except OSError:
                continue
            if str(directory).encode() in about:
                found.append(command.decode(errors="replace"))
    return found
