"""The dashboard as people meet it: a real server on a free port, with a real ledger behind it."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import uvicorn
from playwright.sync_api import BrowserContext, Page

from dashboard.security import SESSION_COOKIE
from tests.dashboard.house import House

DEADLINE_S = 10.0


@dataclass
class WallClockHouse(House):
    """A house whose clock is the browser's."""

    def now_ms(self) -> int:
        return int(time.time() * 1000)


class Site:
    """Starts, stops, freezes and starts again on the same port."""

    def __init__(self, house: House) -> None:
        self.house = house
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread: threading.Thread | None = None
        self._server: uvicorn.Server | None = None

    def start(self) -> None:
        self.house.open_up()
        ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(ready)), daemon=True)
        self._thread.start()
        assert ready.wait(DEADLINE_S), "the server did not start"

    def stop(self) -> None:
        if self._thread is None or self._server is None:
            return
        self._server.should_exit = True
        self._thread.join(DEADLINE_S)
        assert not self._thread.is_alive(), "the server did not stop"
        self.house.loop = self._thread = None

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """The server keeps its connections but says nothing, until the block is left."""
        thaw = threading.Event()
        assert self.house.loop is not None
        self.house.loop.call_soon_threadsafe(thaw.wait, 60)
        try:
            yield
        finally:
            thaw.set()

    def sign_in(self, context: BrowserContext) -> None:
        context.add_cookies([{"name": SESSION_COOKIE, "value": self.house.session(), "url": self.url}])

    async def _serve(self, ready: threading.Event) -> None:
        config = uvicorn.Config(
            self.house.app,
            host="127.0.0.1",
            port=self.port,
            log_level="warning",
            ws="websockets-sansio",
            timeout_graceful_shutdown=1,
        )
        self._server = _Announcing(config, ready)
        self.house.loop = asyncio.get_running_loop()
        self.house.feed.source_back()
        feeding = asyncio.create_task(self.house.feed.run())
        try:
            await self._server.serve()
        finally:
            feeding.cancel()
            with suppress(asyncio.CancelledError):
                await feeding


class _Announcing(uvicorn.Server):
    """Says when it listens."""

    def __init__(self, config: uvicorn.Config, ready: threading.Event) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready.set()


def mark(page: Page) -> None:
    """Remember this document, so that `same_document` can tell a reload."""
    page.evaluate("window.marked = true")


def same_document(page: Page) -> bool:
    """Whether the page is still the one that was marked."""
    return bool(page.evaluate("window.marked === true"))
