"""Ingest as a process of its own, to be killed: `python -m tests.chaos.ingest_process URL PORT PASSWORD_FILE`.

It writes one line of JSON at each change of its health: `{"ok": true, "detail": ""}`.
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
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from services.clock import now_ms
from services.ingest import Ingest
from services.ledger.database import Database
from services.mqtt import Account, BrokerAddress, connected

ROOT = Path(__file__).parents[2]

# How often a change of health is looked for: a hundredth of what a kill's timing is measured in.
_LOOK_EVERY_S = 0.01


class IngestProcess:
    """`with IngestProcess(...)`: runs until the block ends. `kill` is -9; `start` begins another life."""

    def __init__(self, url: str, port: int, password_file: Path, log: Path) -> None:
        self._command = [sys.executable, "-m", "tests.chaos.ingest_process", url, str(port), str(password_file)]
        self._log = log
        self._process: subprocess.Popen[str] | None = None
        self._said: queue.Queue[dict[str, Any]] = queue.Queue()

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
        threading.Thread(target=self._listen, args=(self._process, self._said), daemon=True).start()

    def kill(self) -> None:
        """As a power cut would."""
        self._end(signal.SIGKILL)

    def wait(self, ok: bool, within_s: float = 30) -> dict[str, Any]:
        """The first health from now on that is `ok` or not; fails when there is none in time."""
        deadline = time.monotonic() + within_s
        while True:
            try:
                said = self._said.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError(
                    f"ingest did not become {'up' if ok else 'down'} within {within_s} s; its log ends:\n"
                    + self._log.read_text(errors="replace")[-2000:]
                ) from None
            if said["ok"] is ok:
                return said

    @staticmethod
    def _listen(process: "subprocess.Popen[str]", said: "queue.Queue[dict[str, Any]]") -> None:
        assert process.stdout is not None
        with process.stdout as lines:
            for line in lines:
                with contextlib.suppress(ValueError):  # cut short by a kill
                    said.put(json.loads(line))

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        assert process is not None, "it does not run"
        process.send_signal(how)
        process.wait(20)


async def _run(url: str, port: int, password: str) -> None:
    database = Database(url)
    link = partial(
        connected,
        BrokerAddress("127.0.0.1", port),
        Account("svc_ingest", password),
        persistent=True,
        manual_ack=True,
    )
    ingest = Ingest(database, link, now_ms)
    running = asyncio.create_task(ingest.run())
    told: tuple[bool | None, str] = (None, "")
    while not running.done():
        health = (ingest.health.ok, ingest.health.detail)
        if health != told and health[0] is not None:
            told = health
            sys.stdout.write(json.dumps({"ok": health[0], "detail": health[1]}) + "\n")
            sys.stdout.flush()
        await asyncio.sleep(_LOOK_EVERY_S)
    await running


if __name__ == "__main__":
    asyncio.run(_run(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]).read_text()))
