"""What the dashboard needs from outside, and how a request reaches it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from starlette.requests import HTTPConnection

from dashboard.live import LiveFeed
from dashboard.security import SESSION_COOKIE, NotSignedIn
from services import people
from services.health import Health
from services.ledger.database import Database


@dataclass(frozen=True, slots=True)
class Dashboard:
    """Everything the app works with. `public_url` is the address people use, when a proxy stands in between.

    `health` is of every service in this process, for `/healthz`.
    """

    database: Database
    now_ms: Callable[[], int]
    new_id: Callable[[], str]
    feed: LiveFeed
    public_url: str | None = None
    health: Sequence[Health] = ()

    @property
    def secure_cookie(self) -> bool:
        """Whether a browser may send the session's cookie over HTTPS only."""
        return self.public_url is not None and self.public_url.startswith("https://")


def dashboard(connection: HTTPConnection) -> Dashboard:
    """The app's `Dashboard`."""
    deps: Dashboard = connection.app.state.dashboard
    return deps


def signed_in(request: Request) -> str:
    """The name of who asks. Raises `NotSignedIn`."""
    user = user_of(request)
    if user is None:
        raise NotSignedIn
    return user


def user_of(connection: HTTPConnection) -> str | None:
    """The name behind the session cookie, if it is a session. Reads the ledger: not for the event loop."""
    token = connection.cookies.get(SESSION_COOKIE)
    if not token:
        return None
    deps = dashboard(connection)
    return people.session(deps.database, token, deps.now_ms())


Deps = Annotated[Dashboard, Depends(dashboard)]
User = Annotated[str, Depends(signed_in)]
