"""Both brokers behind one face, accounts for them, and a client that says exactly which bytes go out."""

import asyncio
import base64
import contextlib
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from broker.limits import Limits
from broker.server import EmbeddedBroker
from pitada.local.mosquitto import LocalMosquitto
from tests.programs import need

PASSWORD = b"a password of the tests"
ACCOUNTS = ("dev-a", "dev-b", "svc_ingest", "svc_dispatch", "svc_dashboard", "op_ana")

# Nothing here takes longer than a few milliseconds; this is the patience before a test fails.
DEADLINE_S = 10.0


def mosquitto_hash(password: bytes) -> str:
    """A line's second half in Mosquitto's password file."""
    salt = hashlib.sha256(password).digest()[:12]
    digest = hashlib.pbkdf2_hmac("sha512", password, salt, 101)
    return f"$7$101${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"


def authenticate(user: str, password: bytes) -> bool:
    """The embedded broker's half of the same accounts."""
    known = user in ACCOUNTS or user.startswith(("bench-", "churn-"))
    return known and password == PASSWORD


@pytest.fixture
def mosquitto_installed() -> None:
    """In CI a missing Mosquitto is a failure; elsewhere the test says loudly that it did not run."""
    need("mosquitto")


def text(value: str) -> bytes:
    """An MQTT string."""
    raw = value.encode()
    return len(raw).to_bytes(2, "big") + raw


def packet(first: int, body: bytes) -> bytes:
    """A packet of up to 2 MiB."""
    length, out = len(body), b""
    while True:
        length, low = length >> 7, length & 0x7F
        out += bytes((low | (0x80 if length else 0),))
        if not length:
            return bytes((first,)) + out + body


def connect_bytes(
    user: str,
    password: bytes = PASSWORD,
    *,
    client_id: str | None = None,
    clean: bool = True,
    keepalive_s: int = 60,
    will: tuple[str, bytes, int, bool] | None = None,
) -> bytes:
    """A CONNECT."""
    flags = 0xC0 | (clean << 1)
    body = text(user if client_id is None else client_id)
    if will is not None:
        topic, payload, qos, retain = will
        flags |= 0x04 | (qos << 3) | (retain << 5)
        body += text(topic) + len(payload).to_bytes(2, "big") + payload
    body += text(user) + len(password).to_bytes(2, "big") + password
    return packet(0x10, text("MQTT") + bytes((4, flags)) + keepalive_s.to_bytes(2, "big") + body)


def publish_bytes(
    topic: str, payload: bytes, *, qos: int = 1, packet_id: int = 1, retain: bool = False, dup: bool = False
) -> bytes:
    """A PUBLISH."""
    number = packet_id.to_bytes(2, "big") if qos else b""
    return packet(0x30 | (dup << 3) | (qos << 1) | retain, text(topic) + number + payload)


def subscribe_bytes(*wanted: tuple[str, int], packet_id: int = 1) -> bytes:
    """A SUBSCRIBE."""
    return packet(0x82, packet_id.to_bytes(2, "big") + b"".join(text(name) + bytes((qos,)) for name, qos in wanted))


class Received:
    """A PUBLISH that came from the broker."""

    def __init__(self, first: int, body: bytes) -> None:
        end = 2 + int.from_bytes(body[:2], "big")
        self.topic = body[2:end].decode()
        self.qos = (first >> 1) & 3
        self.retain = bool(first & 1)
        self.dup = bool(first & 8)
        self.packet_id = int.from_bytes(body[end : end + 2], "big") if self.qos else 0
        self.payload = body[end + 2 :] if self.qos else body[end:]

    def __repr__(self) -> str:
        return f"{self.topic} {self.payload!r} qos={self.qos} retain={self.retain} dup={self.dup}"


class RawClient:
    """An MQTT client that does only what it is told: acknowledgements, pings and the way to leave are the test's."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self._packet_id = 0
        self._kept: list[tuple[int, bytes]] = []

    def send(self, data: bytes) -> None:
        """Exactly these bytes."""
        self.writer.write(data)

    async def packet(self) -> tuple[int, bytes]:
        """The next packet: first byte, body."""
        if self._kept:
            return self._kept.pop(0)
        return await self._read()

    async def _read(self) -> tuple[int, bytes]:
        async with asyncio.timeout(DEADLINE_S):
            first = (await self.reader.readexactly(1))[0]
            length = shift = 0
            while True:
                byte = (await self.reader.readexactly(1))[0]
                length |= (byte & 0x7F) << shift
                shift += 7
                if byte < 0x80:
                    return first, await self.reader.readexactly(length)

    async def answer(self, kind: int) -> bytes:
        """The body of the next packet of this type; messages that come before it are kept for `message`."""
        while True:
            first, body = await self._read()
            if first & 0xF0 == kind:
                return body
            self._kept.append((first, body))

    async def connected(self) -> bool:
        """Whether the session was present; fails when the CONNECT was refused."""
        first, body = await self.packet()
        assert (first, body[1]) == (0x20, 0), f"not accepted: 0x{first:02x} {body!r}"
        return bool(body[0])

    async def subscribe(self, *wanted: tuple[str, int]) -> list[int]:
        """The codes of the SUBACK."""
        self._packet_id += 1
        self.send(subscribe_bytes(*wanted, packet_id=self._packet_id))
        return list((await self.answer(0x90))[2:])

    async def publish(self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False) -> None:
        """Returns when it is acknowledged (QoS 1)."""
        self._packet_id += 1
        self.send(publish_bytes(topic, payload, qos=qos, packet_id=self._packet_id, retain=retain))
        if qos:
            assert int.from_bytes(await self.answer(0x40), "big") == self._packet_id

    async def message(self, *, ack: bool = True) -> Received:
        """The next PUBLISH."""
        while True:
            first, body = await self.packet()
            if first & 0xF0 == 0x30:
                message = Received(first, body)
                if ack and message.qos:
                    self.ack(message)
                return message

    async def messages_until(self, last: bytes) -> list[Received]:
        """All messages up to the one with this payload, which is left out."""
        found: list[Received] = []
        while (message := await self.message()).payload != last:
            found.append(message)
        return found

    def ack(self, message: Received) -> None:
        """PUBACK."""
        self.send(b"\x40\x02" + message.packet_id.to_bytes(2, "big"))

    async def ping(self) -> None:
        """Returns at the answer: everything sent before has been worked on."""
        self.send(b"\xc0\x00")
        await self.answer(0xD0)

    async def settled(self) -> None:
        """Everything sent before has been worked on, or the broker has ended the connection for it."""
        try:
            await self.ping()
        except (ConnectionError, asyncio.IncompleteReadError):
            return

    async def closed(self, within_s: float = DEADLINE_S) -> None:
        """Fails when the broker does not end the connection in time."""
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(within_s):
                while await self.reader.read(65_536):
                    pass

    def read_on(self, on: bool) -> None:
        """Off: what the broker sends stays in the sockets between."""
        transport = self.writer.transport
        assert isinstance(transport, asyncio.Transport)
        if on:
            transport.resume_reading()
        else:
            transport.pause_reading()

    async def drop(self) -> None:
        """Gone without a DISCONNECT."""
        self.writer.transport.abort()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()

    async def leave(self) -> None:
        """A DISCONNECT; returns when the broker has seen it."""
        self.send(b"\xe0\x00")
        await self.closed()


class Face:
    """What a test sees of a broker, whichever it is."""

    def __init__(self, kind: str, host: str, port: int) -> None:
        self.kind = kind
        self.host = host
        self.port = port
        self._clients: list[RawClient] = []

    async def raw(self) -> RawClient:
        """A connection on which nothing was said."""
        reader, writer = await asyncio.open_connection(self.host, self.port)
        client = RawClient(reader, writer)
        self._clients.append(client)
        return client

    async def client(self, user: str, **connect: Any) -> RawClient:
        """A client that is signed in."""
        client = await self.raw()
        client.send(connect_bytes(user, **connect))
        await client.connected()
        return client

    async def close(self) -> None:
        """Drop every client."""
        for client in self._clients:
            await client.drop()


@pytest.fixture(params=["embedded", "mosquitto"])
async def broker(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Face]:
    """Each of the two brokers in turn, empty."""
    if request.param == "embedded":
        async with EmbeddedBroker(authenticate=authenticate, store_path=tmp_path / "retained.db") as embedded:
            face = Face("embedded", embedded.host, embedded.port)
            yield face
            await face.close()
        return
    request.getfixturevalue("mosquitto_installed")
    churn = [f"churn-{number}" for number in range(20)]
    hashed = mosquitto_hash(PASSWORD)
    with LocalMosquitto(tmp_path, dict.fromkeys((*ACCOUNTS, *churn), hashed)) as mosquitto:
        face = Face("mosquitto", mosquitto.host, mosquitto.port)
        yield face
        await face.close()


MakeEmbedded = Callable[[Limits], Awaitable[tuple[EmbeddedBroker, Face]]]


@pytest.fixture
async def embedded(tmp_path: Path) -> AsyncIterator[MakeEmbedded]:
    """Makes embedded brokers with limits of the test's choice."""
    async with contextlib.AsyncExitStack() as stack:

        async def make(limits: Limits) -> tuple[EmbeddedBroker, Face]:
            running = await stack.enter_async_context(
                EmbeddedBroker(authenticate=authenticate, limits=limits, store_path=tmp_path / "retained.db")
            )
            face = Face("embedded", running.host, running.port)
            stack.push_async_callback(face.close)
            return running, face

        yield make
