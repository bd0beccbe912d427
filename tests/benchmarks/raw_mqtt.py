"""Dispensers on a real broker, as cheap as clients can be, so that the broker and the service are what is measured."""

import asyncio
import base64
import hashlib
import json
import time
from collections import deque
from collections.abc import Iterable, Sequence

from protocol import topics
from protocol.packets import Framer, length_bytes, parse_publish, puback
from services.ledger.settle import Incoming

PASSWORD = "benchmark"  # of a broker that lives as long as the benchmark

_CONNECTS_AT_ONCE = 100

# A real dispenser waits for the broker before it says more; so those of a fleet lie between each other in a queue.
IN_FLIGHT = 1


def password_hash() -> str:
    """Mosquitto's hash of the password; the same for all, because making thousands is not what is measured."""
    salt = b"benchmark123"
    digest = base64.b64encode(hashlib.pbkdf2_hmac("sha512", PASSWORD.encode(), salt, 101)).decode()
    return f"$7$101${base64.b64encode(salt).decode()}${digest}"


class Dispenser(asyncio.Protocol):
    """One signed-in connection that publishes under its own name, at most `IN_FLIGHT` at a time."""

    def __init__(self, user: str) -> None:
        self.receipted: dict[str, float] = {}  # job to when its receipt came
        self._user = user
        self._framer = Framer(1 << 20)
        self._waiting: deque[bytes] = deque()
        self._in_flight = 0
        loop = asyncio.get_running_loop()
        self._signed_in: asyncio.Future[int] = loop.create_future()
        self._subscribed: asyncio.Future[int] = loop.create_future()
        self._idle = asyncio.Event()

    @classmethod
    async def connect(cls, port: int, user: str) -> "Dispenser":
        loop = asyncio.get_running_loop()
        _, client = await loop.create_connection(lambda: cls(user), "127.0.0.1", port)
        assert await client._signed_in == 0, f"{user} was refused"
        return client

    async def hear_receipts(self) -> None:
        body = b"\x00\x01" + _text(topics.RECEIPT.filter(self._user)) + b"\x01"
        self._transport.write(b"\x82" + length_bytes(len(body)) + body)
        assert await self._subscribed == 1

    def publish(self, messages: Iterable[Incoming]) -> None:
        self._idle.clear()
        self._waiting.extend(_publish_body(message) for message in messages)
        self._send([])

    async def idle(self) -> None:
        """Returns when the broker has acknowledged everything."""
        await self._idle.wait()

    def close(self) -> None:
        self._transport.write(b"\xe0\x00")
        self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        body = b"\x00\x04MQTT\x04\xc2\x00\x00" + _text(self._user) * 2 + _text(PASSWORD)
        transport.write(b"\x10" + length_bytes(len(body)) + body)

    def data_received(self, data: bytes) -> None:
        out: list[bytes] = []
        for first, body in self._framer.feed(data):
            kind = first & 0xF0
            if kind == 0x30:
                _, payload, *_, packet_id = parse_publish(first, body)
                self.receipted.setdefault(json.loads(payload)["job"], time.perf_counter())
                out.append(puback(packet_id))
            elif kind == 0x40:
                self._in_flight -= 1
            elif kind == 0x20:
                self._signed_in.set_result(body[1])
            elif kind == 0x90:
                self._subscribed.set_result(body[2])
        self._send(out)

    def _send(self, out: list[bytes]) -> None:
        while self._waiting and self._in_flight < IN_FLIGHT:
            self._in_flight += 1
            out.append(self._waiting.popleft())
        if not self._waiting and not self._in_flight:
            self._idle.set()
        if out:
            self._transport.write(b"".join(out))


async def connect_all(port: int, names: Sequence[str]) -> dict[str, Dispenser]:
    """Their connections by name."""
    clients: dict[str, Dispenser] = {}
    # Not all at once: the listener's queue of new connections is short.
    for start in range(0, len(names), _CONNECTS_AT_ONCE):
        some = names[start : start + _CONNECTS_AT_ONCE]
        clients |= zip(some, await asyncio.gather(*(Dispenser.connect(port, name) for name in some)), strict=True)
    return clients


async def preload(port: int, backlog: Sequence[Incoming]) -> None:
    """Leave the messages at the broker, each published by the dispenser whose it is, all of them side by side."""
    by_device: dict[str, list[Incoming]] = {}
    for message in backlog:
        by_device.setdefault(message.topic.split("/")[2], []).append(message)
    clients = await connect_all(port, list(by_device))
    for name, client in clients.items():
        client.publish(by_device[name])
    for client in clients.values():
        await client.idle()
        client.close()


def _publish_body(message: Incoming) -> bytes:
    # Dispensers retain both kinds. The number need not differ: this client counts acknowledgements and resends nothing.
    topic = _text(message.topic)
    return b"\x33" + length_bytes(len(topic) + 2 + len(message.payload)) + topic + b"\x00\x07" + message.payload


def _text(value: str) -> bytes:
    return len(value).to_bytes(2, "big") + value.encode()
