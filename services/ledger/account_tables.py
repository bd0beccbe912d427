"""Tables of who may connect and sign in, and of what was asked twice. `tables` has them all."""

from sqlmodel import Field

from services.ledger.row import Row, ms


class Account(Row, table=True):
    """A broker account: a dispenser, a service or an operator's tool. Only the password's hash is kept."""

    __tablename__ = "account"
    user: str = Field(primary_key=True)
    role: str
    hash: str
    created_at_ms: int = ms(default=0)


class SignInLink(Row, table=True):
    """A link that signs a person in once. Only the SHA-256 of its token is kept."""

    __tablename__ = "sign_in_link"
    token_sha256: str = Field(primary_key=True)
    user: str
    created_at_ms: int = ms()
    expires_at_ms: int = ms()
    used_at_ms: int | None = ms(default=None)


class WebSession(Row, table=True):
    """A signed-in browser. Only the SHA-256 of its token is kept."""

    __tablename__ = "web_session"
    token_sha256: str = Field(primary_key=True)
    user: str
    created_at_ms: int = ms()
    expires_at_ms: int = ms()


class IdempotencyKey(Row, table=True):
    """The job that a request made, so that the same request again gets the same job."""

    __tablename__ = "idempotency_key"
    by: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    request_sha256: str
    job: str
    at_ms: int = ms()
