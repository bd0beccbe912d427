"""The dashboard's HTTP server inside the house's own event loop."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator

import uvicorn
from fastapi import FastAPI

# Live viewers hold their connections open; a stop does not wait for them longer than this.
_GOODBYE_S = 2


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: the house decides when to stop."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class PortTaken(Exception):
    """Another program listens where the dashboard should."""


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes any free one."""
    try:
        return socket.create_server((host, port))
    except OSError as error:
        raise PortTaken(
            f"The dashboard cannot listen on {host}:{port}: {error.strerror}. Choose another with --http-port."
        ) from error


@contextlib.asynccontextmanager
async def serving(app: FastAPI, listener: socket.socket) -> AsyncIterator[None]:
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
