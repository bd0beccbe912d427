"""Keeps a few processes running: one that dies is started again, with a growing pause, until everything is stopped."""

import threading
import time
from collections.abc import Callable
from typing import Protocol

import structlog

log = structlog.get_logger(__name__)

# The pause before a restart: hardly any for the first, so that a crash is hardly noticed, and at most half a minute.
FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 30.0

# One that ran so long is well again: its next pause is the first one.
WELL_AFTER_S = 60.0

# How often the processes are looked at.
LOOK_S = 0.1


class Supervised(Protocol):
    """A process that can be started again. `start` returns when it has been started, `stop` when it is gone."""

    @property
    def running(self) -> bool: ...

    @property
    def pid(self) -> int | None: ...

    def start(self) -> None: ...

    def stop(self) -> None: ...


class Supervisor:
    """`with Supervisor() as all:` has what is given to `all.start` run; at the end it is stopped, the latest first."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.restarts: dict[str, int] = {}
        self._processes: dict[str, Supervised] = {}
        self._monotonic = monotonic
        self._started: dict[str, float] = {}
        self._pause_s: dict[str, float] = {}
        self._due: dict[str, float] = {}

    def __enter__(self) -> "Supervisor":
        return self

    def __exit__(self, *_error: object) -> None:
        for name, process in reversed(self._processes.items()):
            try:
                process.stop()
            except Exception as error:  # the others are to be stopped all the same
                log.warning("it did not stop in good order", process=name, error=str(error))

    def start(self, name: str, process: Supervised) -> None:
        """Starts it for the first time. Raises what its own start raises."""
        process.start()
        self._processes[name] = process
        self.restarts[name] = 0
        self._pause_s[name] = FIRST_PAUSE_S
        self._started[name] = self._monotonic()

    def pids(self) -> dict[str, int | None]:
        """The process id of each."""
        return {name: process.pid for name, process in self._processes.items()}

    def watch(self, stop: threading.Event, also: Callable[[], None]) -> None:
        """Until `stop` is set; `also` is called at each look."""
        while not stop.wait(LOOK_S):
            self.look()
            also()

    def look(self) -> None:
        """Starts again what has died, when its pause is over."""
        now = self._monotonic()
        for name, process in self._processes.items():
            if process.running:
                continue
            if name not in self._due:
                if now - self._started[name] > WELL_AFTER_S:
                    self._pause_s[name] = FIRST_PAUSE_S
                self._due[name] = now + self._pause_s[name]
                log.warning("it died", process=name, starts_again_in_s=self._pause_s[name])
                self._pause_s[name] = min(self._pause_s[name] * 2, LONGEST_PAUSE_S)
            elif now >= self._due[name]:
                self._restart(name, process)

    def _restart(self, name: str, process: Supervised) -> None:
        try:
            process.start()
        except Exception as error:  # whatever a server's start raises: it is tried again, later
            log.warning("it does not start", process=name, error=str(error))
        else:
            self.restarts[name] += 1
            log.info("started again", process=name, pid=process.pid)
        del self._due[name]
        self._started[name] = self._monotonic()
