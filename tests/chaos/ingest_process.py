"""Ingest as a process of its own, to be killed: `python -m tests.chaos.ingest_process URL PORT PASSWORD_FILE BATCH`.

It writes its log as JSON, so every change of its health is one line: `service up`, or `service down` with the reason.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from pitada.local.program import Program
from services.clock import now_ms
from services.ingest import Ingest
from services.ledger.database import Database
from services.mqtt import Account, BrokerAddress, connected

ROOT = Path(__file__).parents[2]

# Small, so that a drain has many batches, and a kill can fall at any point of any.
BATCH_MOST = 500

_HEALTH = {"service up": True, "service down": False}

_POLL_S = 0.01


class IngestProcess(Program):
    """`with IngestProcess(...)`: runs until the block ends. `kill` is -9; `start` begins another life."""

    def __init__(self, url: str, port: int, password_file: Path, log: Path, batch_most: int = BATCH_MOST) -> None:
        command = [sys.executable, "-m", "tests.chaos.ingest_process", url, str(port), str(password_file)]
        super().__init__([*command, str(batch_most)], os.environ, log, cwd=ROOT)
        self._lines_heard = 0

    def start(self) -> None:
        super().start()
        self._lines_heard = 0

    def wait(self, ok: bool, within_s: float = 30) -> str:
        """Returns with the next change of health to `ok`, and its reason; fails when there is none in time."""
        deadline = time.monotonic() + within_s
        while True:
            for told in self._news():
                if _HEALTH.get(told["event"]) is ok:
                    return str(told.get("reason", ""))
            if time.monotonic() > deadline:
                state = "up" if ok else "down"
                raise AssertionError(
                    f"ingest did not become {state} within {within_s} s; it said:\n{self.said[-4000:]}"
                )
            time.sleep(_POLL_S)

    def _news(self) -> Iterator[dict[str, Any]]:
        """What its log has that was not heard yet, line by line."""
        lines = self.said.splitlines(keepends=True)
        for line in lines[self._lines_heard :]:
            if not line.endswith("\n"):  # still being written, or cut short by a kill
                return
            self._lines_heard += 1
            if line.startswith("{"):  # no trace of an error
                yield json.loads(line)


async def _run(url: str, port: int, password: str, batch_most: int) -> None:
    database = Database(url)
    link = partial(
        connected,
        BrokerAddress("127.0.0.1", port),
        Account("svc_ingest", password),
        persistent=True,
        manual_ack=True,
    )
    structlog.configure(processors=[structlog.processors.JSONRenderer()], cache_logger_on_first_use=True)
    await Ingest(database, link, now_ms, batch_most).run()


if __name__ == "__main__":
    asyncio.run(_run(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]).read_text(), int(sys.argv[4])))
