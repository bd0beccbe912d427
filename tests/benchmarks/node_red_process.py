"""Node-RED with the flow of `node_red/`, as a process of its own that may be killed.

It signs in as ingest, so that it takes over what the broker kept for ingest, and settles it into the same tables.
"""

import json
import os
import shutil
import subprocess
import time
from pathlib import Path

from sqlalchemy import make_url

from pitada.local.program import Program
from tests.benchmarks.raw_mqtt import PASSWORD
from tests.programs import need

PLACE = Path(__file__).parent / "node_red"
USER = "svc_ingest"

# Of the flow's node for the broker, whose account Node-RED keeps apart from the flow.
_BROKER_NODE = "broker"

# A cold start reads some hundred files.
_START_S = 60.0
_POLL_S = 0.01


class NodeRedFailed(Exception):
    """Node-RED is not installed, or did not connect. The text holds its last words."""


class NodeRed(Program):
    """`with NodeRed(...)`: connected until the block ends. `kill` is -9; `start` begins another life.

    `directory` is its user directory, and holds its log.
    """

    def __init__(self, database_url: str, port: int, directory: Path) -> None:
        program = PLACE / "node_modules/node-red/red.js"
        if not program.exists():
            raise NodeRedFailed("Node-RED is not installed: `bash scripts/servers.sh peers` does it.")
        super().__init__(
            [need("node"), str(program), "-s", str(PLACE / "settings.js"), "-u", str(directory)],
            {**os.environ, **_database(database_url), "MQTT_PORT": str(port)},
            directory / "log",
        )
        self._directory = directory

    def start(self) -> None:
        """Returns when it is connected to the broker. Raises `NodeRedFailed`."""
        self._directory.mkdir(mode=0o700, exist_ok=True)
        shutil.copy(PLACE / "flow.json", self._directory)
        accounts = {_BROKER_NODE: {"user": USER, "password": PASSWORD}}
        (self._directory / "flow_cred.json").write_text(json.dumps(accounts))
        # What it would make itself if it might write; without it, it complains.
        (self._directory / "package.json").write_text("{}")
        super().start()
        deadline = time.monotonic() + _START_S
        while "Connected to broker" not in self.said:
            if not self.running or time.monotonic() > deadline:
                self.kill()
                raise NodeRedFailed(f"Node-RED did not connect to the broker:\n{self.said[-2000:]}")
            time.sleep(_POLL_S)

    def check(self) -> None:
        """Raises `NodeRedFailed` if it ended, or logged an error: a message that failed does not come again."""
        if not self.running or "[error]" in self.said:
            raise NodeRedFailed(f"Node-RED says:\n{self.said[:4000]}")


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
