"""Ingest as a process of its own, to be killed: `python -m tests.chaos.ingest_process URL PORT PASSWORD_FILE BATCH`.

It writes its log as JSON, so every change of its health is one line: `service up`, or `service down` with the reason.
"""

import asyncio
import contextlib
import json
import queue
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import structlog

from services.clock import now_ms
from services.ingest import Ingest
from services.ledger.database import Database
from services.mqtt import Account, BrokerAddress, connected

ROOT = Path(__file__).parents[2]

# Small, so that a drain has many batches, and a kill can fall at any point of any.
BATCH_MOST = 500

_HEALTH = {"service up": True, "service down": False}


class IngestProcess:
    """`with IngestProcess(...)`: runs until the block ends. `kill` is -9; `start` begins another life."""

    def __init__(self, url: str, port: int, password_file: Path, log: Path, batch_most: int = BATCH_MOST) -> None:
        self._command = [sys.executable, "-m", "tests.chaos.ingest_process", url, str(port), str(password_file)]
        self._command.append(str(batch_most))
        self._log = log
        self._process: subprocess.Popen[str] | None = None
        self._said: queue.Queue[dict[str, Any]] = queue.Queue()
        self._lines: deque[str] = deque(maxlen=20)

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
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        self._said = queue.Queue()
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True
            )
        self._lines.clear()
        threading.Thread(target=self._listen, args=(self._process, self._said, self._lines), daemon=True).start()

    def kill(self) -> None:
        """As a power cut would."""
        self._end(signal.SIGKILL)

    def wait(self, ok: bool, within_s: float = 30) -> str:
        """Returns with the next change of health to `ok`, and its reason; fails when there is none in time."""
        deadline = time.monotonic() + within_s
        while True:
            try:
                said = self._said.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError(
                    f"ingest did not become {'up' if ok else 'down'} within {within_s} s; it said:\n"
                    + "".join(self._lines)
                    + self._log.read_text(errors="replace")[-2000:]
                ) from None
            if _HEALTH[said["event"]] is ok:
                return str(said.get("reason", ""))

    @staticmethod
    def _listen(process: "subprocess.Popen[str]", said: "queue.Queue[dict[str, Any]]", lines: "deque[str]") -> None:
        assert process.stdout is not None
        with process.stdout as output:
            for line in output:
                lines.append(line)
                with contextlib.suppress(ValueError):  # cut short by a kill
                    told = json.loads(line)
                    if told["event"] in _HEALTH:
                        said.put(told)

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        assert process is not None, "it does not run"
        process.send_signal(how)
        process.wait(20)


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
