"""A program as a process of its own, to be stopped in good order or killed, and started again."""

import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog

log = structlog.get_logger(__name__)

# What a program may take to end in good order: a service its last batch, a broker its state.
_STOP_S = 15.0


class Program:
    """`with Program(...)`: runs until the block ends. `kill` is -9; `start` begins another life.

    It writes on its log file. Ctrl-C does not reach it: it is stopped by `stop`, in its turn.
    """

    def __init__(
        self, arguments: Sequence[str], environment: Mapping[str, str], log_file: Path, *, cwd: Path | None = None
    ) -> None:
        self._arguments = list(arguments)
        self._environment = dict(environment)
        self._log_file = log_file
        self._cwd = cwd
        self._process: subprocess.Popen[bytes] | None = None
        self._life_from = 0  # where in the log the latest life begins

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended, by itself or otherwise."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        """Its process id while it runs."""
        return self._process.pid if self._process else None

    @property
    def said(self) -> str:
        """What its latest life has written so far."""
        if not self._log_file.exists():
            return ""
        with self._log_file.open("rb") as log_file:
            log_file.seek(self._life_from)
            return log_file.read().decode(errors="replace")

    def start(self) -> None:
        """Returns at once: it may not serve yet."""
        self._log_file.parent.mkdir(parents=True, exist_ok=True)
        with self._log_file.open("ab") as log_file:
            self._life_from = log_file.tell()
            self._process = subprocess.Popen(  # noqa: S603  # our own command, no shell
                self._arguments,
                stdin=subprocess.DEVNULL,
                stdout=log_file,
                stderr=log_file,
                env=self._environment,
                cwd=self._cwd,
                start_new_session=True,
            )

    def stop(self) -> None:
        """SIGTERM, and -9 when that does not end it. Nothing happens when it does not run."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """As a power cut would."""
        self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            log.warning("killed: it did not end when asked to", program=self._arguments[:3], after_s=_STOP_S)
            process.kill()
            process.wait()
