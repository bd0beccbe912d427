"""The set-up portal: a small web server that asks a person for the settings, and keeps them.

It runs on asyncio of both Pythons. The access point around it is firmware/board/set_up.py.
"""

import asyncio

from firmware.board.http import BadRequest, Request, read_form, read_request, response
from firmware.board.page import form_page, saved_page
from firmware.board.settings import TLS_PORT, Settings, from_form

try:
    from typing import Callable
except ImportError:  # MicroPython has no typing; only type checkers look at this
    pass

# A phone opens two or three connections at once; each costs some kilobytes here.
_MAX_CONNECTIONS = 6

# A connection that asks nothing for so long is closed: browsers open some ahead of need and forget them.
_IDLE_S = 10

# The time of a phone is taken from here on (2024); below it, that is no phone's clock.
_EARLIEST_CLOCK_S = 1_704_067_200
_LATEST_CLOCK_S = 4_102_444_800


class Portal:
    """Serves the form until it was filled well. `keep(settings)` keeps them; where it raises OSError, the page says so.

    `label` is the name of the set-up network, `address` what browsers call this server (host and port), `networks`
    the Wi-Fi names in reach, `kept` the settings so far, `flashed` the certificates that the board was flashed with,
    `notice` why it asks again.
    """

    __slots__ = (
        "_address",
        "_connections",
        "_flashed",
        "_keep",
        "_kept",
        "_label",
        "_networks",
        "_notice",
        "_saved",
        "clock_s",
        "requests",
    )

    def __init__(
        self,
        label: str,
        address: str,
        networks: "list[str]",
        kept: "Settings | None",
        flashed: str,
        notice: str,
        keep: "Callable[[Settings], None]",
    ) -> None:
        self._label = label
        self._address = address
        self._networks = networks
        self._kept = kept
        self._flashed = flashed
        self._notice = notice
        self._keep = keep
        self._connections = 0
        self._saved = asyncio.Event()
        self.requests = 0
        """Requests so far: someone is there."""
        self.clock_s = 0
        """The time of the phone that saved, in seconds since 1970; 0: it did not say."""

    async def wait_saved(self) -> None:
        """Until settings were kept, and the browser has been told."""
        await self._saved.wait()

    async def serve(self, reader, writer) -> None:  # type: ignore[no-untyped-def]  # streams of either Python
        """One connection: one request. For `asyncio.start_server`."""
        if self._connections >= _MAX_CONNECTIONS:
            await _close(writer)
            return
        self._connections += 1
        watch = asyncio.create_task(_cancel_late(asyncio.current_task()))
        try:
            await self._answer(reader, writer)
        except (OSError, EOFError, asyncio.CancelledError):
            pass  # the phone went away, or was idle for too long
        finally:
            watch.cancel()
            self._connections -= 1
            await _close(writer)

    async def _answer(self, reader, writer) -> None:  # type: ignore[no-untyped-def]  # as in serve
        try:
            request = await read_request(reader)
            if request is not None:
                self.requests += 1
                await self._reply(request, writer)
        except BadRequest as refused:
            await _send(writer, response(refused.status, b""))

    async def _reply(self, request: "Request", writer) -> None:  # type: ignore[no-untyped-def]  # as in serve
        if request.path == "/save" and request.method == "POST":
            form = read_form(request.body)
            settings, problems = from_form(form, self._kept, self._flashed)
            if settings is None:
                await _send(writer, response(200, self._page(form, problems, "")))
                return
            try:
                self._keep(settings)
            except OSError:
                words = "The dispenser could not save this. Try again; if this repeats, replace the board."
                await _send(writer, response(200, self._page(form, {}, words)))
                return
            self._take_clock(form.get("clock_s", ""))
            try:
                await _send(writer, response(200, saved_page(settings)))
            finally:
                self._saved.set()
        elif request.path == "/" and request.method == "GET":
            await _send(writer, response(200, self._page(self._filled(), {}, self._notice)))
        else:
            # Whatever a phone asks to find out whether it is in the internet: this is where it has to go.
            await _send(writer, response(302, b"", "http://" + self._address + "/"))

    def _page(self, form: "dict[str, str]", problems: "dict[str, str]", notice: str) -> bytes:
        return form_page(self._label, self._networks, form, problems, self._kept, notice, bool(self._flashed))

    def _filled(self) -> "dict[str, str]":
        """The form as it is first shown. Secrets are not in it."""
        kept = self._kept
        if kept is None:
            first = self._networks[0] if len(self._networks) == 1 else ""
            return {"ssid": first, "port": str(TLS_PORT), "tls": "on"}
        return {
            "ssid": kept.ssid,
            "server": kept.server,
            "port": str(kept.port),
            "tls": "on" if kept.certificates else "",
            "device": kept.device,
            "counts_per_g": str(kept.counts_per_g) if kept.counts_per_g else "",
        }

    def _take_clock(self, text: str) -> None:
        if text and len(text) <= 10 and not text.strip("0123456789"):
            clock_s = int(text)
            self.clock_s = clock_s if _EARLIEST_CLOCK_S <= clock_s <= _LATEST_CLOCK_S else 0


async def _cancel_late(task) -> None:  # type: ignore[no-untyped-def]  # a task of either Python
    await asyncio.sleep(_IDLE_S)
    task.cancel()


async def _send(writer, data: bytes) -> None:  # type: ignore[no-untyped-def]  # a stream of either Python
    writer.write(data)
    await writer.drain()


async def _close(writer) -> None:  # type: ignore[no-untyped-def]  # a stream of either Python
    try:
        writer.close()
        await writer.wait_closed()
    except OSError:
        pass  # it was closed from the other end
