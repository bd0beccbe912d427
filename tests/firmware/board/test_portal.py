"""The portal's server: phones that behave and phones that do not."""

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import urlencode

import pytest

from firmware.board import portal as module
from firmware.board.portal import Portal
from firmware.board.settings import Settings
from tests.firmware.board.test_settings import FORM


class Phone:
    """Speaks to a portal over real sockets."""

    def __init__(self) -> None:
        self.kept: list[Settings] = []
        self.portal = Portal("pitada-3fa2", "192.168.4.1", ["Guests"], None, "", "", self.kept.append)

    async def start(self) -> None:
        self.server = await asyncio.start_server(self.portal.serve, "127.0.0.1", 0)
        self.port: int = self.server.sockets[0].getsockname()[1]

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def ask(self, data: bytes) -> bytes:
        reader, writer = await self.connect()
        writer.write(data)
        async with asyncio.timeout(10):
            answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        return answer

    async def post(self, **form: str) -> bytes:
        body = urlencode(form).encode()
        return await self.ask(b"POST /save HTTP/1.1\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))


@pytest.fixture
async def phone() -> AsyncIterator[Phone]:
    phone = Phone()
    await phone.start()
    yield phone
    phone.server.close()
    await phone.server.wait_closed()


@pytest.mark.parametrize("path", ["/generate_204", "/hotspot-detect.html", "/connecttest.txt", "/favicon.ico", "/save"])
async def test_every_other_path_leads_to_the_page(phone: Phone, path: str) -> None:
    answer = await phone.ask(f"GET {path} HTTP/1.1\r\nHost: anywhere.example\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 302 ")
    assert b"Location: http://192.168.4.1/\r\n" in answer


async def test_a_good_form_is_kept_and_the_wait_is_over(phone: Phone) -> None:
    waiting = asyncio.create_task(phone.portal.wait_saved())
    answer = await phone.post(**FORM, clock_s="1764000000")
    assert b"<h1>Saved</h1>" in answer
    async with asyncio.timeout(10):
        await waiting
    assert [one.device for one in phone.kept] == ["kitchen"]
    assert phone.portal.clock_s == 1_764_000_000


@pytest.mark.parametrize("clock_s", ["", "0", "12345", "99999999999", "1e9", "-1764000000", "9999999999"])
async def test_a_clock_that_cannot_be_is_not_taken(phone: Phone, clock_s: str) -> None:
    await phone.post(**FORM, clock_s=clock_s)
    assert phone.portal.clock_s == 0
    assert len(phone.kept) == 1


async def test_a_bad_form_keeps_nothing(phone: Phone) -> None:
    answer = await phone.post(**{**FORM, "port": "x"})
    assert b"One field needs another look." in answer
    assert phone.kept == []


async def test_what_is_no_request_is_refused_and_the_next_one_is_served(phone: Phone) -> None:
    assert (await phone.ask(b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n")).startswith(b"HTTP/1.1 400 ")
    assert (await phone.ask(b"POST /save HTTP/1.1\r\nContent-Length: 99999\r\n\r\n")).startswith(b"HTTP/1.1 413 ")
    assert b"Set up this dispenser" in await phone.ask(b"GET / HTTP/1.1\r\n\r\n")
    assert phone.portal.requests == 1


async def test_connections_that_ask_nothing_are_closed_so_that_others_are_served(
    phone: Phone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_IDLE_S", 0.2)
    idle = [await phone.connect() for _one in range(6)]
    one_too_many = await phone.connect()
    async with asyncio.timeout(10):
        assert await one_too_many[0].read() == b""
        assert [await reader.read() for reader, _writer in idle] == [b""] * 6
    assert b"Set up this dispenser" in await phone.ask(b"GET / HTTP/1.1\r\n\r\n")
    for _reader, writer in [*idle, one_too_many]:
        writer.close()
        await writer.wait_closed()


async def test_a_phone_that_goes_away_in_the_middle_harms_nobody(phone: Phone) -> None:
    for _time in range(10):
        _reader, writer = await phone.connect()
        writer.write(b"POST /save HTTP/1.1\r\nContent-Length: 500\r\n\r\nssid=")
        writer.close()
        await writer.wait_closed()
    assert b"Set up this dispenser" in await phone.ask(b"GET / HTTP/1.1\r\n\r\n")


async def test_one_network_in_reach_is_filled_in(phone: Phone) -> None:
    assert b'value="Guests"' in await phone.ask(b"GET / HTTP/1.1\r\n\r\n")
