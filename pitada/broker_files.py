"""Mosquitto's files in a directory, written from the ledger's accounts and again whenever those change.

Mosquitto reads them at SIGHUP. Who runs it sends that: `LocalMosquitto.reload`, or `deploy/mosquitto.sh`, which looks
at `revision`, the file that is written last.
"""

import hashlib
import os
import pwd
from collections.abc import Mapping
from pathlib import Path

from broker import mosquitto
from pitada.secrets import write_private

REVISION = "revision"


def write_accounts(directory: Path, accounts: Mapping[str, str]) -> bool:
    """Writes access list and passwords where they differ from what is there. True: they did."""
    access, passwords = mosquitto.access_list(accounts), mosquitto.passwords(accounts)
    revision = hashlib.sha256(f"{access}\0{passwords}".encode()).hexdigest() + "\n"
    marker = directory / REVISION
    if marker.exists() and marker.read_text(encoding="utf-8") == revision:
        return False
    directory.mkdir(parents=True, exist_ok=True)
    write_private(directory / "access", access)
    write_private(directory / "passwords", passwords)
    write_private(marker, revision)
    return True


def write_config(directory: Path, host: str, port: int, tls: mosquitto.Tls | None) -> None:
    """Writes `mosquitto.conf` for a Mosquitto that logs to its standard error."""
    directory.mkdir(parents=True, exist_ok=True)
    text = mosquitto.config(directory, host=host, port=port, tls=tls, as_user=user_to_become(), log="stderr")
    write_private(directory / "mosquitto.conf", text)


def user_to_become() -> str | None:
    """Root's Mosquitto becomes another user, who could not read these files; so it is told to stay who it is."""
    return pwd.getpwuid(os.getuid()).pw_name if os.getuid() == 0 else None
