"""The services' own passwords: made once, kept in a file that only this user reads, known to the brokers as hashes.

A service that runs alone may have its password in a file of its own instead, as containers are given secrets.
"""

import json
import os
import secrets
from pathlib import Path

from protocol.access import SERVICE_ACCOUNTS
from services.devices import ensure_service_account
from services.ledger.database import Database
from services.mqtt import Account
from services.settings import Settings

FILE = "service-passwords.json"

# 160 bits: nobody guesses it, so a slow hash would protect nothing.
_PASSWORD_BYTES = 20


class BadSecrets(Exception):
    """A file of passwords is missing, empty, or can be read by others. The text says what to do."""


def service_accounts(data_dir: Path, database: Database, now_ms: int) -> dict[str, Account]:
    """Every service's account by user name, created in the file and the ledger where missing."""
    passwords = _passwords(data_dir / FILE)
    for user, password in passwords.items():
        ensure_service_account(database, user, password, now_ms)
    return {user: Account(user, password) for user, password in passwords.items()}


def own_account(settings: Settings, user: str) -> Account:
    """The account of a service that runs alone. Its password must be there: several that start at once make none."""
    if settings.mqtt_password_file is not None:
        return Account(user, read_secret(settings.mqtt_password_file))
    path = settings.data_dir / FILE
    password = _kept(path).get(user)
    if password is None:
        raise BadSecrets(f"{path} has no password for {user}: run `pitada migrate`, or name a file that has it.")
    return Account(user, password)


def read_secret(path: Path) -> str:
    """The one line of a secret's file."""
    try:
        secret = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise BadSecrets(f"The secret {path} cannot be read: {error.strerror}.") from error
    if not secret:
        raise BadSecrets(f"The secret {path} is empty.")
    return secret


def _passwords(path: Path) -> dict[str, str]:
    kept = _kept(path)
    missing = [user for user in SERVICE_ACCOUNTS if user not in kept]
    if missing:
        kept |= {user: secrets.token_urlsafe(_PASSWORD_BYTES) for user in missing}
        write_private(path, json.dumps(kept, indent=2) + "\n")
    return kept


def _kept(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    if path.stat().st_mode & 0o077:
        raise BadSecrets(f"{path} can be read by others: run `chmod 600 {path}`, then start again.")
    kept: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    return kept


def write_private(path: Path, text: str, mode: int = 0o600) -> None:
    """The whole file or the old one, from its first byte with this mode."""
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    new.chmod(mode)
    new.replace(path)
