"""Broker accounts, and the rows of a dispenser that the server decides: its name, its flasks, what it should know."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, case, select, update

from services.ledger import tables
from services.ledger.inserts import insert_all, insert_new, insert_those_new


class NewDispenser(NamedTuple):
    """`flasks` are columns of `flask` by name, without `device` and the amounts."""

    device: str
    name: str
    flasks: Sequence[Mapping[str, Any]]


def password_hashes(tx: Connection) -> dict[str, str]:
    """User name to password hash, of every account."""
    table = tables.account
    rows = tx.execute(select(table.c.user, table.c.hash).order_by(table.c.user))
    return {row.user: row.hash for row in rows}


def password_hash(tx: Connection, user: str) -> str | None:
    """The account's password hash. None: no such account."""
    table = tables.account
    return tx.execute(select(table.c.hash).where(table.c.user == user)).scalar()


def add_account(tx: Connection, user: str, role: str, stored: str, now_ms: int) -> bool:
    """Add an account with that password hash. False: the name is taken."""
    values = {"user": user, "role": role, "hash": stored, "created_at_ms": now_ms}
    return insert_new(tx, tables.account, values)


def add_accounts(tx: Connection, role: str, hashes: Mapping[str, str], now_ms: int) -> set[str]:
    """Add an account with its password hash for each user. Returns those whose name was free."""
    rows = [{"user": user, "role": role, "hash": hashes[user], "created_at_ms": now_ms} for user in sorted(hashes)]
    return insert_those_new(tx, tables.account, rows)


def set_password_hash(tx: Connection, user: str, stored: str) -> bool:
    """Replace the account's password hash. False: no such account."""
    table = tables.account
    return tx.execute(update(table).where(table.c.user == user).values(hash=stored)).rowcount == 1


def set_password_hashes(tx: Connection, hashes: Mapping[str, str]) -> None:
    """Replace the password hash of every user that has an account."""
    if hashes:
        table = tables.account
        replaced = update(table).where(table.c.user == bindparam("who")).values(hash=bindparam("new"))
        tx.execute(replaced, [{"who": user, "new": hashes[user]} for user in sorted(hashes)])


def add_dispensers(tx: Connection, claimed: Sequence[NewDispenser], *, now_ms: int, by: str) -> set[str]:
    """Add dispensers with their (empty) flasks, to be configured as version 1. Returns those whose id was free."""
    rows = [
        {
            "device": one.device,
            "name": one.name,
            "claimed_at_ms": now_ms,
            "claimed_by": by,
            "desired_config_version": 1,
        }
        for one in sorted(claimed)
    ]
    added = insert_those_new(tx, tables.device, rows)
    flasks = [{"device": one.device, **flask} for one in claimed if one.device in added for flask in one.flasks]
    insert_all(tx, tables.flask, flasks)
    return added


def flask_settings(tx: Connection, device: str) -> dict[int, dict[str, Any]]:
    """The columns of each of the dispenser's flasks, by number; held until the end of the transaction."""
    table = tables.flask
    held = select(table).where(table.c.device == device).order_by(table.c.flask).with_for_update(key_share=True)
    return {row["flask"]: dict(row) for row in tx.execute(held).mappings()}


def set_flask(tx: Connection, device: str, flask: int, values: Mapping[str, Any]) -> None:
    """Set columns of one flask."""
    table = tables.flask
    tx.execute(update(table).where(table.c.device == device, table.c.flask == flask).values(**values))


def want_new_config(tx: Connection, device: str) -> int:
    """Let the dispenser's configuration be sent again, under a version above every one that it was given or has."""
    table = tables.device
    has, wants = table.c.config_version, table.c.desired_config_version
    done = tx.execute(
        update(table)
        .where(table.c.device == device)
        .values(desired_config_version=case((has > wants, has), else_=wants) + 1, config_sent_at_ms=None)
        .returning(wants)
    )
    return int(done.scalar_one())
