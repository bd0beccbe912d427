"""Accounts of everything that connects to the broker. Only hashes are kept; the brokers are configured from them."""

import secrets
from collections.abc import Iterable

from protocol.access import DEVICE, role_of
from services.devices.errors import NotAServiceAccount, UnknownAccount
from services.devices.passwords import RandomBytes, hash_password, matches, new_password
from services.ledger import accounts as rows
from services.ledger.database import Database

# Checked for a name that has no account, so that an answer takes as long whether the name exists or not.
_NOBODYS_HASH = hash_password("", lambda size: bytes(size))


def accounts(db: Database) -> dict[str, str]:
    """User name to password hash, dispensers and services, in the form of a Mosquitto password file."""
    with db.read() as tx:
        return rows.password_hashes(tx)


def verify(db: Database, user: str, password: str) -> bool:
    """Whether the account exists and has this password. Takes as long for an unknown name."""
    with db.read() as tx:
        stored = rows.password_hash(tx, user)
    right = matches(stored or _NOBODYS_HASH, password)
    return right and stored is not None


def rotate_password(db: Database, user: str, *, random_bytes: RandomBytes = secrets.token_bytes) -> str:
    """Give the account a new password, shown once: the old one is refused from the next connect on.

    Raises `UnknownAccount`.
    """
    password = new_password(random_bytes)
    with db.write() as tx:
        if not rows.set_password_hash(tx, user, hash_password(password, random_bytes)):
            raise UnknownAccount(user)
    return password


def rotate_passwords(
    db: Database, users: Iterable[str], *, random_bytes: RandomBytes = secrets.token_bytes
) -> dict[str, str]:
    """Give each of these accounts a new password, in one transaction. Returns them; unknown users are left as they are.

    For accounts that were just seen to be there.
    """
    passwords = {user: new_password(random_bytes) for user in users}
    hashes = {user: hash_password(password, random_bytes) for user, password in passwords.items()}
    with db.write() as tx:
        rows.set_password_hashes(tx, hashes)
    return passwords


def ensure_service_account(
    db: Database, user: str, password: str, now_ms: int, *, random_bytes: RandomBytes = secrets.token_bytes
) -> None:
    """Let the service or operator's tool `user` sign in with `password`. A hash that matches it already is kept.

    Raises `NotAServiceAccount` for a dispenser's name: `claim` makes those.
    """
    role = role_of(user)
    if role is None or role == DEVICE:
        raise NotAServiceAccount(user)
    with db.write() as tx:
        stored = rows.password_hash(tx, user)
        if stored is not None and matches(stored, password):
            return
        fresh = hash_password(password, random_bytes)
        if stored is None:
            rows.add_account(tx, user, role, fresh, now_ms)
        else:
            rows.set_password_hash(tx, user, fresh)
