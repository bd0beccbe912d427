"""A real PostgreSQL server in a directory, on loopback, for the demo and the tests."""

import os
import secrets
import shutil
import signal
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from pitada.local.ports import free_port

# The server's one role, owner of its one database.
ROLE = "pitada"
DATABASE = "postgres"

# Debian and its children keep the server's programs here, off the PATH.
DEBIAN_PROGRAMS = "/usr/lib/postgresql/*/bin"

# Recovery after `kill` takes the longest; a server that is not up by then is broken.
START_TIMEOUT_S = 60.0

# A fast stop writes a checkpoint. After this it is told to stop at once.
STOP_TIMEOUT_S = 30.0

# A port that was free can be taken before the server binds it: so many ports are tried.
PORTS_TRIED = 5

_POLL_S = 0.02


class LocalPostgresqlError(Exception):
    """PostgreSQL cannot run here. The text says why and what to do."""


class LocalPostgresql:
    """A server whose data, log and password live in `directory` (made when missing, kept when stopped).

    `with LocalPostgresql(directory) as server: Database(server.url)`. Run by root it drops to the user postgres, as the
    server demands, and gives that user the directory. `fsync=False` is for tests: a crash of the machine may then lose
    what was committed; a crash of the server may not.
    """

    def __init__(self, directory: Path, *, fsync: bool = True) -> None:
        self.directory = directory
        self.fsync = fsync
        self.url = ""
        self._port = 0
        self._password = ""
        self._process: subprocess.Popen[bytes] | None = None
        self._programs = _find_programs()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended, by itself or by `stop`."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        """Its process id while it runs."""
        return self._process.pid if self._process else None

    @property
    def url_without_password(self) -> str:
        """For settings: the password is in `password_file`."""
        return f"postgresql+psycopg://{ROLE}@127.0.0.1:{self._port}/{DATABASE}"

    @property
    def password_file(self) -> Path:
        """What the server's one role signs in with."""
        return self.directory / "password"

    def start(self) -> None:
        """Make the database when the directory has none, and serve it at `url`. Returns when it takes connections."""
        if self.running:
            raise LocalPostgresqlError(f"PostgreSQL already runs in {self.directory}: stop it first")
        self._end(signal.SIGQUIT)  # one that ended by itself is still to be taken leave of
        if not (self.directory / "data" / "PG_VERSION").exists():
            self._initialise()
        self._password = (self.directory / "password").read_text()
        # A restart keeps the port, so that clients find the server again.
        is_restart = self._port != 0
        for _ in range(1 if is_restart else PORTS_TRIED):
            self._port = self._port or free_port()
            self._process = self._spawn()
            if self._ready():
                self.url = f"postgresql+psycopg://{ROLE}:{self._password}@127.0.0.1:{self._port}/{DATABASE}"
                return
            self._process = None
            if "could not bind" not in self._log_tail():
                break
            if not is_restart:
                self._port = 0
        raise LocalPostgresqlError(f"PostgreSQL did not start in {self.directory}. Its log ends:\n{self._log_tail()}")

    def stop(self) -> None:
        """End every connection and stop the server, all data on disk. Nothing happens when it is not running."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """Stop at once, as a crash would: the next start recovers from the log."""
        self._end(signal.SIGQUIT)

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGQUIT)
            process.wait(STOP_TIMEOUT_S)

    def _initialise(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        password = self.directory / "password"
        password.touch(mode=0o600)
        password.write_text(secrets.token_urlsafe(24))
        if os.geteuid() == 0:
            shutil.chown(self.directory, "postgres", "postgres")
            shutil.chown(password, "postgres", "postgres")
            self._check_reachable()
        made = subprocess.run(  # noqa: S603  # a program that was found on this machine, no shell
            [
                str(self._programs / "initdb"),
                *("--pgdata", str(self.directory / "data"), "--username", ROLE, "--pwfile", str(password)),
                *("--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C"),
                *([] if self.fsync else ["--no-sync"]),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            user=_account(),
            group=_account(),
            extra_groups=None if _account() is None else [],
        )
        if made.returncode != 0:
            text = made.stdout.decode(errors="replace")
            raise LocalPostgresqlError(f"initdb failed in {self.directory}:\n{text}")

    def _check_reachable(self) -> None:
        reached = subprocess.run(  # noqa: S603  # a program of this machine, no shell
            ["/usr/bin/test", "-w", str(self.directory)],
            check=False,
            user=_account(),
            group=_account(),
            extra_groups=[],
        )
        if reached.returncode != 0:
            raise LocalPostgresqlError(
                f"run by root, PostgreSQL uses the account postgres, which cannot reach {self.directory}: "
                "choose a directory whose parents everyone may enter"
            )

    def _spawn(self) -> subprocess.Popen[bytes]:
        settings = {
            "port": str(self._port),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",  # a socket's path is too long in most temporary directories
            "fsync": "on" if self.fsync else "off",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with (self.directory / "log").open("ab") as log:
            return subprocess.Popen(  # noqa: S603  # a program that was found on this machine, no shell
                [str(self._programs / "postgres"), "-D", str(self.directory / "data"), *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the caller, who stops the server after its clients
                user=_account(),
                group=_account(),
                extra_groups=None if _account() is None else [],
            )

    def _ready(self) -> bool:
        """Whether the server takes connections; False when it ended instead."""
        assert self._process is not None
        ask = [str(self._programs / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self._port)]
        deadline = time.monotonic() + START_TIMEOUT_S
        while self._process.poll() is None:
            if subprocess.run(ask, check=False).returncode == 0:  # noqa: S603  # as above
                return True
            if time.monotonic() > deadline:
                self.kill()
                return False
            time.sleep(_POLL_S)
        return False

    def _log_tail(self) -> str:
        return (self.directory / "log").read_text(errors="replace")[-2000:]


def _find_programs() -> Path:
    on_path = shutil.which("initdb")
    candidates = [Path(on_path).resolve().parent] if on_path else []
    debian = Path("/").glob(DEBIAN_PROGRAMS.lstrip("/"))
    candidates += sorted(debian, key=lambda folder: int(folder.parent.name.split(".")[0]), reverse=True)
    for folder in candidates:
        if all((folder / program).exists() for program in ("initdb", "postgres", "pg_isready")):
            return folder
    raise LocalPostgresqlError(
        "PostgreSQL is not installed: the programs initdb and postgres are neither on the PATH nor in "
        f"{DEBIAN_PROGRAMS}. Install it (Debian, Ubuntu: apt-get install postgresql; macOS: brew install postgresql)."
    )


def _account() -> str | None:
    """The account that the server's programs run as; None: the caller's own."""
    return "postgres" if os.geteuid() == 0 else None
