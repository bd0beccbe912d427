"""Kills with -9 and starts again at once: each process has a keeper, a thread that brings it back when it is gone."""

import contextlib
import os
import signal
import threading
from collections import Counter
from pathlib import Path
from typing import Self

import structlog

from pitada.local.supervisor import Supervised

log = structlog.get_logger(__name__)

# How soon a keeper notices, and tries again what did not start.
_LOOK_S = 0.02


class Restarter:
    """`with Restarter() as running:` what is given to `start` runs, and is kept running, while the block runs.

    `ended`: how often each ended although nobody killed it.
    """

    def __init__(self) -> None:
        self.ended: Counter[str] = Counter()
        self._parts: dict[str, Supervised] = {}
        self._killed: set[str] = set()
        self._stop = threading.Event()
        self._keepers: list[threading.Thread] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop.set()
        for keeper in self._keepers:
            keeper.join()
        with contextlib.ExitStack() as stack:  # the latest first, and every one
            for part in self._parts.values():
                stack.callback(part.stop)

    def start(self, name: str, part: Supervised) -> None:
        """Raises what its first start raises."""
        part.start()
        self._parts[name] = part
        self._keepers.append(threading.Thread(target=self._keep, args=(name, part), name=f"keeper of {name}"))
        self._keepers[-1].start()

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._parts)

    def kill(self, name: str) -> bool:
        """`kill -9` of the process and its children. False: there is none at this moment."""
        part = self._parts[name]
        pid = part.pid
        if pid is None or not part.running:
            return False
        self._killed.add(name)
        for one in (pid, *children(pid)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(one, signal.SIGKILL)
        return True

    def memory_mb(self) -> dict[str, float]:
        """What each holds now, its children's share of what they share included."""
        return {
            name: round(sum(_pss_bytes(one) for one in (part.pid, *children(part.pid))) / 1e6, 1)
            for name, part in self._parts.items()
            if part.pid is not None
        }

    def _keep(self, name: str, part: Supervised) -> None:
        while not self._stop.wait(_LOOK_S):
            if part.running:
                continue
            if name in self._killed:
                self._killed.discard(name)
            else:
                self.ended[name] += 1
                log.warning("it ended by itself", process=name)
            self._start(name, part)

    def _start(self, name: str, part: Supervised) -> None:
        """Until it has started: one that is killed on its way up, or finds another still going, is tried again."""
        while not self._stop.is_set():
            try:
                part.start()
            except Exception as error:  # whatever a server's start raises
                self._killed.discard(name)
                log.info("not started yet", process=name, error=str(error)[-500:])
                self._stop.wait(_LOOK_S)
            else:
                return


def children(pid: int | None) -> list[int]:
    """The processes that this one started and that run."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):
                # pid (name) state parent …, and a name may hold anything
                parent = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()[1]
                if int(parent) == pid:
                    found.append(int(folder.name))
    return found


def _pss_bytes(pid: int | None) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0
