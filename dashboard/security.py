"""Headers that every response carries, and the check that a change was asked for by our own page."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dashboard.problems import Problem, respond
from services.people import SESSION_VALID_MS

SESSION_COOKIE = "pitada_session"

# As long as the session lasts in the ledger, which decides in any case.
SESSION_COOKIE_S = SESSION_VALID_MS // 1000

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    # Not no-referrer: with that, browsers send `Origin: null` with our own forms.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}

_READS = {"GET", "HEAD", "OPTIONS"}


class NotSignedIn(Exception):
    """Nobody is signed in. Open a sign-in link; `pitada link` prints one."""


# Dispensers ask there, each with its own password; no session's cookie counts.
DEVICES = "/api/v1/devices/me/"


class Guard:
    """ASGI middleware: the headers on every response, and no change from another site's page."""

    def __init__(self, app: ASGIApp, public_url: str | None) -> None:
        self._app = app
        self._public_url = public_url

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                if not scope["path"].startswith("/static/"):
                    headers.setdefault("Cache-Control", "no-store")
            await send(message)

        is_change = scope["method"] not in _READS and not scope["path"].startswith(DEVICES)
        if is_change and not asked_by_us(Headers(scope=scope), self._public_url):
            refusal = respond(
                Problem(403, "Asked by another site", "Open the dashboard itself and do it there.", "cross_origin")
            )
            await refusal(scope, receive, with_headers)
            return
        await self._app(scope, receive, with_headers)


def asked_by_us(headers: Mapping[str, str], public_url: str | None) -> bool:
    """Whether a change comes from our own page, or from a program that is no browser (those send neither header)."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    return "origin" not in headers or own_origin(headers, public_url)


def own_origin(headers: Mapping[str, str], public_url: str | None) -> bool:
    """Whether the Origin header is there and names this dashboard."""
    origin = urlsplit(headers.get("origin", "")).netloc
    return bool(origin) and origin in (headers.get("host"), urlsplit(public_url or "").netloc)
