"""The HTTP server inside the house's own event loop: the dashboard, or health alone."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator, Sequence

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from services.health import Health, report

App = Starlette  # FastAPI is one too

# Live viewers hold their connections open; a stop does not wait for them longer than this.
_GOODBYE_S = 2


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: the house decides when to stop."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class PortTaken(Exception):
    """Another program listens where this process should."""


def health_app(services: Sequence[Health]) -> App:
    """Answers `/healthz` and nothing else, for a process without the dashboard."""

    async def healthz(_request: Request) -> JSONResponse:
        status, body = report(services)
        return JSONResponse(body, status, {"Cache-Control": "no-store"})

    return Starlette(routes=[Route("/healthz", healthz)])


def listen(host: str, port: int, setting: str) -> socket.socket:
    """A listening socket; port 0 takes any free one. `setting` is what changes the port."""
    try:
        return socket.create_server((host, port))
    except OSError as error:
        raise PortTaken(
            f"Cannot listen on {host}:{port} for HTTP: {error.strerror}. Choose another port: {setting}."
        ) from error


@contextlib.asynccontextmanager
async def serving(app: App, listener: socket.socket) -> AsyncIterator[None]:
    """Serves while the block runs, then says goodbye to the viewers."""
    server = _Server(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="on",
            timeout_graceful_shutdown=_GOODBYE_S,
            ws="websockets-sansio",
        )
    )
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield
    finally:
        server.should_exit = True
        await task
