"""Node-RED with the flow of `node_red/`, as a process of its own that may be killed.

It signs in as ingest, so that it takes over what the broker kept for ingest, and settles it into the same tables.
"""

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from sqlalchemy import make_url

from tests.benchmarks.raw_mqtt import PASSWORD
from tests.programs import need

PLACE = Path(__file__).parent / "node_red"
USER = "svc_ingest"

# Of the flow's node for the broker, whose account Node-RED keeps apart from the flow.
_BROKER_NODE = "broker"

# A cold start reads some hundred files.
_START_S = 60.0
_POLL_S = 0.01
_STOP_S = 20.0


class NodeRedFailed(Exception):
    """Node-RED is not installed, or did not connect. The text holds its last words."""


class NodeRed:
    """`with NodeRed(...)`: connected until the block ends. `kill` is -9; `start` begins another life.

    `directory` is its user directory, and holds its log.
    """

    def __init__(self, database_url: str, port: int, directory: Path) -> None:
        program = PLACE / "node_modules/node-red/red.js"
        if not program.exists():
            raise NodeRedFailed("Node-RED is not installed: `bash scripts/servers.sh peers` does it.")
        self._command = [need("node"), str(program), "-s", str(PLACE / "settings.js"), "-u", str(directory)]
        self._environment = {**os.environ, **_database(database_url), "MQTT_PORT": str(port)}
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._end(signal.SIGTERM)

    @property
    def pid(self) -> int:
        assert self._process is not None, "it does not run"
        return self._process.pid

    @property
    def _log(self) -> Path:
        return self._directory / "log"

    def start(self) -> None:
        """Returns when it is connected to the broker. Raises `NodeRedFailed`."""
        self._directory.mkdir(mode=0o700, exist_ok=True)
        shutil.copy(PLACE / "flow.json", self._directory)
        accounts = {_BROKER_NODE: {"user": USER, "password": PASSWORD}}
        (self._directory / "flow_cred.json").write_text(json.dumps(accounts))
        # What it would make itself if it might write; without it, it complains.
        (self._directory / "package.json").write_text("{}")
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command, env=self._environment, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + _START_S
        while "Connected to broker" not in (said := self._log.read_text(errors="replace")):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise NodeRedFailed(f"Node-RED did not connect to the broker:\n{said[-2000:]}")
            time.sleep(_POLL_S)

    def kill(self) -> None:
        """As a power cut would."""
        self._end(signal.SIGKILL)

    def check(self) -> None:
        """Raises `NodeRedFailed` if it logged an error since its start: a message that failed does not come again."""
        said = self._log.read_text(errors="replace")
        if "[error]" in said:
            raise NodeRedFailed(f"Node-RED says:\n{said[:4000]}")

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        assert process is not None, "it does not run"
        process.send_signal(how)
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def versions() -> dict[str, str]:
    """Of Node.js, and of the packages that the lock file names."""
    packages = json.loads((PLACE / "package-lock.json").read_text())["packages"]
    node = subprocess.run([need("node"), "--version"], check=True, capture_output=True, text=True)
    named = {name: packages[f"node_modules/{name}"]["version"] for name in ("node-red", "pg")}
    return {"node": node.stdout.strip().removeprefix("v"), **named}


def _database(url: str) -> dict[str, str]:
    parts = make_url(url)
    return {
        "PGHOST": str(parts.host),
        "PGPORT": str(parts.port),
        "PGUSER": str(parts.username),
        "PGPASSWORD": str(parts.password),
        "PGDATABASE": str(parts.database),
    }
