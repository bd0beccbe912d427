"""Sign-in links and sessions of people. Tokens come in as their SHA-256: the tables hold nothing that signs in."""

from sqlalchemy import Connection, delete, insert, select, update

from services.ledger import tables


def add_link(tx: Connection, token_sha256: str, user: str, *, now_ms: int, expires_at_ms: int) -> None:
    """A link that signs `user` in once, until `expires_at_ms`."""
    values = {"token_sha256": token_sha256, "user": user, "created_at_ms": now_ms, "expires_at_ms": expires_at_ms}
    tx.execute(insert(tables.sign_in_link).values(**values))


def use_link(tx: Connection, token_sha256: str, now_ms: int) -> str | None:
    """Use the link up. Returns whom it signs in; None: unknown, used before, or too late."""
    table = tables.sign_in_link
    used = tx.execute(
        update(table)
        .where(
            table.c.token_sha256 == token_sha256,
            table.c.used_at_ms.is_(None),
            table.c.expires_at_ms > now_ms,
        )
        .values(used_at_ms=now_ms)
        .returning(table.c.user)
    )
    return used.scalar()


def add_session(tx: Connection, token_sha256: str, user: str, *, now_ms: int, expires_at_ms: int) -> None:
    """A session of `user` until `expires_at_ms`."""
    values = {"token_sha256": token_sha256, "user": user, "created_at_ms": now_ms, "expires_at_ms": expires_at_ms}
    tx.execute(insert(tables.web_session).values(**values))


def session_user(tx: Connection, token_sha256: str, now_ms: int) -> str | None:
    """Whose session it is. None: unknown, ended, or too old."""
    table = tables.web_session
    asked = select(table.c.user).where(table.c.token_sha256 == token_sha256, table.c.expires_at_ms > now_ms)
    return tx.execute(asked).scalar()


def end_session(tx: Connection, token_sha256: str) -> None:
    """End the session, if it is one."""
    table = tables.web_session
    tx.execute(delete(table).where(table.c.token_sha256 == token_sha256))


def forget_expired(tx: Connection, now_ms: int) -> None:
    """Drop the links and sessions whose time is up, so that the tables stay as small as what they allow."""
    for table in (tables.sign_in_link, tables.web_session):
        tx.execute(delete(table).where(table.c.expires_at_ms <= now_ms))
