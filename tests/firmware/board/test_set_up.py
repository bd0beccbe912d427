"""The set-up from the open access point to the settings."""

import asyncio
import socket
from collections.abc import AsyncIterator
from urllib.parse import urlencode

import pytest

from firmware.board import set_up as module
from firmware.board.led import Led
from firmware.board.set_up import NOBODY_CAME_MS, ask
from firmware.board.settings import Settings
from firmware.board.store import SET_UP, Store
from tests.firmware.board.chips import Clock, Pin
from tests.firmware.board.test_settings import FORM, KEPT
from tests.firmware.board.test_store import Nvs


def free_port(kind: socket.SocketKind) -> int:
    with socket.socket(socket.AF_INET, kind) as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


class Board:
    def __init__(self) -> None:
        self.store = Store(Nvs())
        self.clock = Clock()
        self.pin = Pin(0)
        self.port = free_port(socket.SOCK_STREAM)

    def start(self, address: str = "192.168.4.1") -> None:
        dns_port = free_port(socket.SOCK_DGRAM)
        now_ms = self.clock.now_ms
        asking = ask(
            self.store, Led(self.pin), now_ms, "pitada-3fa2", address, [], "", "127.0.0.1", self.port, dns_port
        )
        self.asking: asyncio.Task[Settings | None] = asyncio.create_task(asking)

    async def request(self, data: bytes) -> bytes:
        async with asyncio.timeout(10):
            while True:
                try:
                    reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
                    break
                except ConnectionRefusedError:
                    await asyncio.sleep(0)
            writer.write(data)
            answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        return answer

    async def end(self) -> Settings | None:
        async with asyncio.timeout(10):
            return await self.asking


@pytest.fixture
async def board(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Board]:
    monkeypatch.setattr(module, "_FAREWELL_S", 0)
    board = Board()
    yield board
    board.asking.cancel()
    await asyncio.gather(board.asking, return_exceptions=True)


async def test_a_good_form_ends_it_and_the_phones_clock_is_kept(board: Board) -> None:
    board.start()
    body = urlencode({**FORM, "clock_s": "1764000030"}).encode()
    answer = await board.request(b"POST /save HTTP/1.1\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
    assert b"<h1>Saved</h1>" in answer
    made = await board.end()
    assert made is not None
    assert made.to_bytes() == KEPT.to_bytes()
    assert board.store.clock_s() == 1_764_000_000


async def test_it_says_why_wifi_did_not_work(board: Board) -> None:
    board.store.want(SET_UP, 202)
    board.start()
    assert b"The Wi-Fi refused the password." in await board.request(b"GET / HTTP/1.1\r\n\r\n")


async def test_a_dispenser_that_has_settings_goes_back_to_work_when_nobody_comes(board: Board) -> None:
    board.store.keep_settings(KEPT)
    board.start()
    board.clock.advance(NOBODY_CAME_MS - 1)
    await board.request(b"GET / HTTP/1.1\r\n\r\n")
    board.clock.advance(10)
    await board.request(b"GET / HTTP/1.1\r\n\r\n")
    assert not board.asking.done()
    async with asyncio.timeout(10):
        while not board.asking.done():
            board.clock.advance(NOBODY_CAME_MS // 10)
            await asyncio.sleep(0.01)
    assert board.asking.result() is None


async def test_a_new_dispenser_waits_for_ever(board: Board) -> None:
    board.start()
    await board.request(b"GET / HTTP/1.1\r\n\r\n")
    board.clock.advance(2 * NOBODY_CAME_MS)
    await board.request(b"GET / HTTP/1.1\r\n\r\n")
    assert not board.asking.done()
    assert board.pin.driven
