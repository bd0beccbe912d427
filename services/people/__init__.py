"""People: links that sign in once, and the sessions they open."""

from services.people.sign_in import (
    LINK_VALID_MS,
    SESSION_VALID_MS,
    end_session,
    new_sign_in_link_token,
    redeem,
    session,
)

__all__ = ["LINK_VALID_MS", "SESSION_VALID_MS", "end_session", "new_sign_in_link_token", "redeem", "session"]
