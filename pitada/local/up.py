"""Mosquitto (TLS), PostgreSQL, ingest, dispatch and dashboard as five processes of this machine, in one directory."""

import contextlib
import os
import shlex
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from broker.mosquitto import Tls
from pitada.house import SERVICES
from pitada.ledger import open_database
from pitada.local import certificates
from pitada.local.mosquitto import LocalMosquitto
from pitada.local.ports import free_port
from pitada.local.postgresql import LocalPostgresql
from pitada.local.program import Program
from pitada.local.supervisor import Supervisor
from pitada.process import raise_open_files
from pitada.secrets import service_accounts, write_private
from services import devices, people
from services.clock import now_ms
from services.ledger.database import Database, DatabaseUnavailable
from services.settings import Settings

# Five processes and a new database, on a slow machine.
START_S = 60.0

# How soon a claimed dispenser may sign in.
_ACCOUNTS_S = 1.0

_POLL_S = 0.1

# What Mosquitto needs for ten thousand dispensers and some more; many shells start with 1,024.
_OPEN_FILES = 20_000


class UpLocalFailed(Exception):
    """The processes are not all well in time. The text says which, and where its log is."""


@dataclass(frozen=True)
class UpLocal:
    """Everything runs. `settings` are what any `pitada` command needs to reach it."""

    settings: Settings
    settings_file: Path
    urls: dict[str, str]
    supervisor: Supervisor
    database: Database
    mosquitto: LocalMosquitto

    def sign_in_url(self) -> str:
        """A new link that signs one browser in, once."""
        return f"{self.urls['dashboard']}/sign-in/{people.new_sign_in_link_token(self.database, now_ms())}"

    def watch(self, stop: threading.Event) -> None:
        """Restarts what dies, and lets new accounts sign in, until `stop` is set."""
        known = devices.accounts(self.database)
        due = time.monotonic()

        def accounts() -> None:
            nonlocal known, due
            if time.monotonic() < due:
                return
            due = time.monotonic() + _ACCOUNTS_S
            try:
                found = devices.accounts(self.database)
            except DatabaseUnavailable:
                return  # its services say so
            if found != known:
                self.mosquitto.reload(found)
                known = found

        self.supervisor.watch(stop, accounts)


@contextlib.contextmanager
def up_local(directory: Path, *, http_port: int, broker_port: int, tls: bool = True) -> Iterator[UpLocal]:
    """They run while the block runs, and are gone after it. Ports 0: free ones. Raises `UpLocalFailed`.

    Without `tls` Mosquitto listens for plain TCP, for measurements: the handshakes of a large fleet take its machine.
    """
    directory = directory.absolute()
    directory.mkdir(parents=True, exist_ok=True)
    directory.chmod(0o711)  # PostgreSQL, started by root, is another user and passes through
    raise_open_files(_OPEN_FILES)
    files = certificates.Certificates(directory / "certificates")
    if tls and not files.broker.exists():
        certificates.make(files.directory)
    with contextlib.ExitStack() as stack:
        supervisor = stack.enter_context(Supervisor())
        postgresql = LocalPostgresql(directory / "postgresql")
        supervisor.start("postgresql", postgresql)
        settings = Settings(
            data_dir=directory,
            database_url=postgresql.url_without_password,
            database_password_file=postgresql.password_file,
            broker="external",
            broker_host=LocalMosquitto.host,
            broker_port=broker_port or free_port(),
            broker_tls_ca=str(files.authority) if tls else None,
            http_port=http_port or free_port(),
        )
        database = stack.enter_context(contextlib.closing(open_database(settings)))
        service_accounts(directory, database, now_ms())
        accounts = devices.accounts(database)
        mosquitto = LocalMosquitto(
            directory / "mosquitto",
            accounts,
            settings.broker_port,
            Tls(files.broker, files.broker_key) if tls else None,
        )
        supervisor.start("mosquitto", mosquitto)
        urls = {}
        for name in SERVICES:
            program, urls[name] = service(name, settings)
            supervisor.start(name, program)
        _wait_until_well(urls, directory)
        settings_file = directory / "settings.env"
        write_private(settings_file, _exports(settings))
        yield UpLocal(settings, settings_file, urls, supervisor, database, mosquitto)


def service(name: str, settings: Settings) -> tuple[Program, str]:
    """`pitada serve NAME`, not started yet, and where it will be reached."""
    port = settings.http_port if name == "dashboard" else free_port()
    own = settings.model_copy(update={"health_port": port, "http_port": port})
    return pitada(own, "serve", name), f"http://127.0.0.1:{port}"


def pitada(settings: Settings, *arguments: str) -> Program:
    """A `pitada` command with these settings, not started yet; its log is named after its last argument."""
    command = [str(Path(sys.executable).with_name("pitada")), *arguments]
    return Program(
        command, {**os.environ, **_environment(settings)}, settings.data_dir / "logs" / f"{arguments[-1]}.log"
    )


def _wait_until_well(urls: Mapping[str, str], directory: Path) -> None:
    deadline = time.monotonic() + START_S
    waiting = dict(urls)
    while waiting:
        waiting = {name: url for name, url in waiting.items() if not is_well(url)}
        if time.monotonic() > deadline:
            raise UpLocalFailed(f"Not well within {START_S:.0f} s: {', '.join(waiting)}. See {directory / 'logs'}.")
        time.sleep(_POLL_S)


def is_well(url: str) -> bool:
    """Whether `/healthz` there answers 200."""
    try:
        with urllib.request.urlopen(f"{url}/healthz", timeout=2) as answer:  # noqa: S310  # our own address
            return bool(answer.status == 200)
    except OSError:
        return False


def _environment(settings: Settings) -> dict[str, str]:
    """The settings as variables of the environment, those that are not their default."""
    return {f"PITADA_{name.upper()}": str(value) for name, value in settings.model_dump(exclude_defaults=True).items()}


def _exports(settings: Settings) -> str:
    lines = [f"export {name}={shlex.quote(value)}\n" for name, value in sorted(_environment(settings).items())]
    return "# `. settings.env`, and every `pitada` command of that shell works on this house.\n" + "".join(lines)
