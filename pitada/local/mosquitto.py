"""A Mosquitto of one's own: the real binary on a free loopback port, with its files in one directory."""

import os
import shutil
import signal
import socket
import time
from collections.abc import Mapping
from pathlib import Path

from broker import mosquitto
from pitada.broker_files import user_to_become
from pitada.local.ports import free_port
from pitada.local.program import Program

# Debian keeps it where only root's PATH looks.
_PLACES = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin", "/opt/homebrew/sbin"])

_START_S = 10.0
_POLL_S = 0.01

# A free port may be taken by somebody else before Mosquitto has it; three times in a row is another fault.
_PORT_ATTEMPTS = 3


class MosquittoFailed(Exception):
    """The Mosquitto binary is missing, or does not start."""


def find_binary() -> str:
    """Where Mosquitto is installed. Raises `MosquittoFailed`, saying what to install."""
    found = shutil.which("mosquitto", path=_PLACES)
    if found is None:
        raise MosquittoFailed(
            "Mosquitto is not installed. Install it (Debian and Ubuntu: apt install mosquitto; macOS: brew install "
            "mosquitto), or use the embedded broker."
        )
    return found


class LocalMosquitto(Program):
    """`with LocalMosquitto(directory, accounts) as broker:` runs until the block ends; `broker.port` is where.

    `accounts` maps each user name to its `$7$` hash. `port` 0 takes a free one, and keeps it over a restart. With
    `tls` it listens for TLS only. What Mosquitto persists stays in `directory`, so a second `start` goes on where the
    first ended; what was not saved in the last seconds before a `kill` is lost.
    """

    host = "127.0.0.1"

    def __init__(
        self, directory: Path, accounts: Mapping[str, str], port: int = 0, tls: mosquitto.Tls | None = None
    ) -> None:
        super().__init__(
            [find_binary(), "-c", str(directory / "mosquitto.conf")], os.environ, directory / "mosquitto.err"
        )
        self.port = port
        self._tls = tls
        self._directory = directory
        self._accounts = dict(accounts)
        self._log_start = 0  # where the log of this run begins

    @property
    def log(self) -> Path:
        """Mosquitto's log."""
        return self._directory / "mosquitto.log"

    def start(self) -> None:
        """Returns when it accepts connections. Raises `MosquittoFailed`."""
        if self.running:
            raise MosquittoFailed("This Mosquitto is running already.")
        self._directory.mkdir(parents=True, exist_ok=True)
        self.kill()  # one that ended by itself is still to be taken leave of
        attempts = 1 if self.port else _PORT_ATTEMPTS
        for attempt in range(attempts):
            port = self.port or free_port(self.host)
            self._write_files(port)
            self._log_start = self.log.stat().st_size if self.log.exists() else 0
            super().start()
            if self._wait_until_ready(port):
                self.port = port
                return
            if "in use" not in self._last_words() or attempt == attempts - 1:
                break
        raise MosquittoFailed(f"Mosquitto did not start on port {port}: {self._last_words()}")

    def reload(self, accounts: Mapping[str, str]) -> None:
        """Use other accounts from now on. Clients that are connected stay so."""
        self._accounts = dict(accounts)
        self._write_files(self.port)
        if self._process is not None and self.running:
            self._process.send_signal(signal.SIGHUP)

    def _write_files(self, port: int) -> None:
        as_user = user_to_become()
        files = {
            "mosquitto.conf": mosquitto.config(
                self._directory, host=self.host, port=port, as_user=as_user, tls=self._tls
            ),
            "access": mosquitto.access_list(self._accounts),
            "passwords": mosquitto.passwords(self._accounts),
        }
        for name, content in files.items():
            target = self._directory / name
            fresh = target.with_suffix(".new")
            fresh.touch(mode=0o600)
            fresh.write_text(content)
            fresh.replace(target)

    def _wait_until_ready(self, port: int) -> bool:
        deadline = time.monotonic() + _START_S
        while self.running and time.monotonic() < deadline:
            try:
                socket.create_connection((self.host, port), timeout=1).close()
            except OSError:
                time.sleep(_POLL_S)
                continue
            # Somebody else may answer on that port, while ours is about to end because it is taken.
            if " running" in self._log_of_this_run():
                return True
            time.sleep(_POLL_S)
        self.kill()
        return False

    def _log_of_this_run(self) -> str:
        if not self.log.exists():
            return ""
        with self.log.open("rb") as log:
            log.seek(self._log_start)
            return log.read().decode(errors="replace")

    def _last_words(self) -> str:
        return "; ".join((self._log_of_this_run() + self.said).strip().splitlines()[-3:]) or "it said nothing"
