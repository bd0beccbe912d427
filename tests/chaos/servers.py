"""Real servers for a chaos run, filled with a workload: Mosquitto, and PostgreSQL or an SQLite file."""

import contextlib
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pitada.local.mosquitto import LocalMosquitto
from pitada.local.postgresql import LocalPostgresql
from services import devices
from services.ledger.database import Database
from services.mqtt import Account, BrokerAddress, BrokerLost, Outgoing, connected
from tests.chaos.ingest_process import IngestProcess
from tests.chaos.workload import NOW_MS, Workload, fill

OPERATOR = "op_chaos"

# Of one dispenser; what a lost connection makes it say again.
_PUBLISHED_AT_ONCE = 100


@dataclass
class Servers:
    """What runs, and who may sign in. `postgresql` None: the ledger is an SQLite file."""

    database: Database
    mosquitto: LocalMosquitto
    postgresql: LocalPostgresql | None
    passwords: dict[str, str]
    password_file: Path
    directory: Path

    @property
    def broker(self) -> BrokerAddress:
        return BrokerAddress(self.mosquitto.host, self.mosquitto.port)

    def account(self, user: str) -> Account:
        return Account(user, self.passwords[user])

    def ingest(self) -> IngestProcess:
        """Not started yet."""
        log = self.directory / "ingest.log"
        return IngestProcess(self.database.url, self.mosquitto.port, self.password_file, log)


@contextlib.contextmanager
def servers(kind: str, work: Workload, *, ledger: Path | None = None, fsync: bool = True) -> Iterator[Servers]:
    """`kind`: sqlite or postgresql. `ledger`: the directory of the SQLite file, else a new one."""
    # Run by root, PostgreSQL is another user, who may not enter pytest's own directories.
    directory = Path(tempfile.mkdtemp(prefix="pitada-chaos-"))
    directory.chmod(0o755)
    try:
        with contextlib.ExitStack() as stack:
            postgresql = None
            if kind == "postgresql":
                postgresql = LocalPostgresql(directory / "postgresql", fsync=fsync)
                stack.enter_context(postgresql)
                url = postgresql.url
            else:
                url = f"sqlite:///{(ledger or directory) / 'ledger.db'}"
            database = Database(url)
            stack.callback(database.close)
            database.migrate()
            passwords = fill(database, work)
            for user in ("svc_ingest", OPERATOR):
                passwords[user] = secrets.token_urlsafe(20)
                devices.ensure_service_account(database, user, passwords[user], NOW_MS)
            password_file = directory / "ingest-password"
            password_file.touch(mode=0o600)
            password_file.write_text(passwords["svc_ingest"])
            mosquitto = LocalMosquitto(directory / "mosquitto", devices.accounts(database))
            stack.enter_context(mosquitto)
            yield Servers(database, mosquitto, postgresql, passwords, password_file, directory)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


async def publish(servers: Servers, device: str, messages: list[tuple[str, bytes]]) -> None:
    """Send a dispenser's messages, in order; returns when the broker has them all. Some come twice if it is slow."""
    left = [Outgoing(topic, payload, 1, retained=False) for topic, payload in messages]
    while left:
        with contextlib.suppress(BrokerLost):
            async with connected(servers.broker, servers.account(device)) as link:
                while left:
                    await link.publish(left[:_PUBLISHED_AT_ONCE])
                    await link.confirmed()
                    del left[:_PUBLISHED_AT_ONCE]
