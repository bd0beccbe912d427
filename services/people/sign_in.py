"""One-time sign-in links and web sessions. A token is shown once; only its SHA-256 is kept.

A token has 256 random bits, so a plain hash is enough: there is nothing to guess. A wrong, a used and an expired token
cost the same statements, and the comparison is of hashes, so the time it takes tells nothing about a token.
"""

import base64
import hashlib
import secrets
from collections.abc import Callable

from services.ledger import sessions
from services.ledger.database import Database

RandomBytes = Callable[[int], bytes]

TOKEN_BYTES = 32

# Long enough to walk from the terminal to the tablet.
LINK_VALID_MS = 15 * 60 * 1000

# A shift and its overtime: people at the line sign in once a day.
SESSION_VALID_MS = 12 * 60 * 60 * 1000

# Who the link of a new installation signs in.
FIRST_USER = "operator"


def new_sign_in_link_token(
    db: Database,
    now_ms: int,
    valid_ms: int = LINK_VALID_MS,
    *,
    user: str = FIRST_USER,
    random_bytes: RandomBytes = secrets.token_bytes,
) -> str:
    """A token that signs `user` in once, within `valid_ms`. Its text is safe in a URL."""
    token = _new_token(random_bytes)
    with db.write() as tx:
        sessions.forget_expired(tx, now_ms)
        sessions.add_link(tx, _sha256(token), user, now_ms=now_ms, expires_at_ms=now_ms + valid_ms)
    return token


def redeem(
    db: Database,
    token: str,
    now_ms: int,
    *,
    valid_ms: int = SESSION_VALID_MS,
    random_bytes: RandomBytes = secrets.token_bytes,
) -> str | None:
    """Use the link up and open a session of `valid_ms`. Returns the session's token.

    None: the link is unknown, was used, or is too old. Of two who try at once, one gets the session.
    """
    session_token = _new_token(random_bytes)
    with db.write() as tx:
        user = sessions.use_link(tx, _sha256(token), now_ms)
        if user is None:
            return None
        sessions.add_session(tx, _sha256(session_token), user, now_ms=now_ms, expires_at_ms=now_ms + valid_ms)
    return session_token


def session(db: Database, token: str, now_ms: int) -> str | None:
    """The name of the person whose session it is. None: sign in again."""
    with db.read() as tx:
        return sessions.session_user(tx, _sha256(token), now_ms)


def end_session(db: Database, token: str) -> None:
    """Sign out. Nothing happens when the session is not there."""
    with db.write() as tx:
        sessions.end_session(tx, _sha256(token))


def _new_token(random_bytes: RandomBytes) -> str:
    return base64.urlsafe_b64encode(random_bytes(TOKEN_BYTES)).decode().rstrip("=")


def _sha256(token: str) -> str:
    # What a browser sends need not be text that UTF-8 can hold: such a token matches nothing.
    return hashlib.sha256(token.encode(errors="surrogatepass")).hexdigest()
