"""The services' own passwords: made once, kept in a file that only this user reads, known to the brokers as hashes."""

import json
import os
import secrets
from pathlib import Path

from protocol.access import SERVICE_ACCOUNTS
from services.devices import ensure_service_account
from services.ledger.database import Database
from services.mqtt import Account

FILE = "service-passwords.json"

# 160 bits: nobody guesses it, so a slow hash would protect nothing.
_PASSWORD_BYTES = 20


class UnsafeSecrets(Exception):
    """The file of passwords can be read by others."""


def service_accounts(data_dir: Path, database: Database, now_ms: int) -> dict[str, Account]:
    """Every service's account by user name, created in the file and the ledger where missing."""
    passwords = _passwords(data_dir / FILE)
    for user, password in passwords.items():
        ensure_service_account(database, user, password, now_ms)
    return {user: Account(user, password) for user, password in passwords.items()}


def _passwords(path: Path) -> dict[str, str]:
    kept: dict[str, str] = {}
    if path.exists():
        if path.stat().st_mode & 0o077:
            raise UnsafeSecrets(f"{path} can be read by others: run `chmod 600 {path}`, then start again.")
        kept = json.loads(path.read_text(encoding="utf-8"))
    missing = [user for user in SERVICE_ACCOUNTS if user not in kept]
    if missing:
        kept |= {user: secrets.token_urlsafe(_PASSWORD_BYTES) for user in missing}
        _write_private(path, json.dumps(kept, indent=2) + "\n")
    return kept


def _write_private(path: Path, text: str) -> None:
    """The whole file or the old one, never readable by others."""
    new = path.with_suffix(".new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    new.replace(path)
