"""Embedded broker against Mosquitto, same machine, same run, same client: one line of JSON.

`python -m tests.benchmarks.bench_broker [--messages N] [--publishers N] [--in-flight N] [--devices N]`

The embedded broker runs in a process of its own, as Mosquitto does. Publishers send QoS 1 with a few messages not
yet acknowledged; one subscriber with QoS 1 acknowledges each. The rate is messages received a second, from the first
publish to the last arrival.
"""

import argparse
import asyncio
import base64
import hashlib
import json
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from pathlib import Path

from broker.server import EmbeddedBroker
from pitada.local.mosquitto import LocalMosquitto
from protocol.packets import Framer, length_bytes, parse_publish, puback

_PASSWORD = b"benchmark"
_PAYLOAD = b"x" * 200  # about one progress report


def main(args: list[str]) -> int:
    """Prints the line of JSON."""
    parser = argparse.ArgumentParser(description="Embedded broker against Mosquitto")
    parser.add_argument("--messages", type=int, default=40_000)
    parser.add_argument("--publishers", type=int, default=20)
    parser.add_argument("--in-flight", type=int, default=20, help="messages each publisher has unacknowledged")
    parser.add_argument("--devices", type=int, default=500)
    options = parser.parse_args(args)
    result: dict[str, float | int] = {
        "messages": options.messages,
        "publishers": options.publishers,
        "in_flight": options.in_flight,
        "devices": options.devices,
    }
    accounts = [f"bench-{number}" for number in range(max(options.devices, options.publishers))]
    for name, running in (("embedded", _embedded), ("mosquitto", _mosquitto)):
        with running([*accounts, "svc_ingest"]) as port:
            rate = asyncio.run(_rate(port, options.publishers, options.messages, options.in_flight))
            result[f"{name}_messages_per_s"] = round(rate)
            result[f"{name}_connect_s"] = round(asyncio.run(_connect_time(port, accounts[: options.devices])), 3)
    result["ratio"] = round(result["embedded_messages_per_s"] / result["mosquitto_messages_per_s"], 3)
    sys.stdout.write(json.dumps(result) + "\n")
    return 0


class _Client(asyncio.Protocol):
    """As little as a client can be, so that the broker is what is measured."""

    def __init__(self, user: str) -> None:
        self._user = user
        self._framer = Framer(1 << 20)
        self._loop = asyncio.get_running_loop()
        self.signed_in = self._loop.create_future()
        self.subscribed = self._loop.create_future()
        self.finished = self._loop.create_future()
        self.expected = 0
        self._to_send = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        body = b"\x00\x04MQTT\x04\xc2\x00\x3c" + _text(self._user) * 2 + _text(_PASSWORD.decode())
        transport.write(b"\x10" + length_bytes(len(body)) + body)

    def data_received(self, data: bytes) -> None:
        answers = []
        for first, body in self._framer.feed(data):
            kind = first & 0xF0
            if kind == 0x30:
                answers.append(puback(parse_publish(first, body)[4]))
                self._count_down()
            elif kind == 0x40:
                self._publish_one(answers)
                self._count_down()
            elif kind == 0x20:
                self.signed_in.set_result(body[1])
            elif kind == 0x90:
                self.subscribed.set_result(body[2])
        if answers:
            self.transport.write(b"".join(answers))

    def subscribe(self, wanted: str) -> None:
        body = b"\x00\x01" + _text(wanted) + b"\x01"
        self.transport.write(b"\x82" + length_bytes(len(body)) + body)

    def publish(self, count: int, in_flight: int) -> None:
        self.expected = self._to_send = count
        topic = _text(f"pitada/v1/{self._user}/status")
        self._packet_id = 0
        self._head = b"\x32" + length_bytes(len(topic) + 2 + len(_PAYLOAD)) + topic
        packets: list[bytes] = []
        for _ in range(in_flight):
            self._publish_one(packets)
        self.transport.write(b"".join(packets))

    def _publish_one(self, out: list[bytes]) -> None:
        if self._to_send:
            self._to_send -= 1
            self._packet_id = self._packet_id % 65_535 + 1
            out.append(self._head + self._packet_id.to_bytes(2, "big") + _PAYLOAD)

    def _count_down(self) -> None:
        self.expected -= 1
        if self.expected == 0 and not self.finished.done():
            self.finished.set_result(None)


async def _client(port: int, user: str) -> _Client:
    _, client = await asyncio.get_running_loop().create_connection(lambda: _Client(user), "127.0.0.1", port)
    assert await client.signed_in == 0, f"{user} was refused"
    return client


async def _rate(port: int, publishers: int, messages: int, in_flight: int) -> float:
    async with asyncio.timeout(60):
        subscriber = await _client(port, "svc_ingest")
        subscriber.subscribe("pitada/v1/+/status")
        assert await subscriber.subscribed == 1
        sending = [await _client(port, f"bench-{number}") for number in range(publishers)]
        each = messages // publishers
        subscriber.expected = each * publishers
        started = time.perf_counter()
        for client in sending:
            client.publish(each, in_flight)
        await subscriber.finished
        took_s = time.perf_counter() - started
        for client in (subscriber, *sending):
            client.transport.abort()
    return each * publishers / took_s


async def _connect_time(port: int, users: list[str]) -> float:
    async with asyncio.timeout(60):
        started = time.perf_counter()
        clients = await asyncio.gather(*(_client(port, user) for user in users))
        took_s = time.perf_counter() - started
        for client in clients:
            client.transport.abort()
    return took_s


def _text(value: str) -> bytes:
    return len(value).to_bytes(2, "big") + value.encode()


def _serve(path: Path, ready: Connection) -> None:
    async def serve() -> None:
        async with EmbeddedBroker(
            authenticate=lambda _user, password: password == _PASSWORD, store_path=path / "retained.db"
        ) as broker:
            ready.send(broker.port)
            await asyncio.to_thread(ready.recv)

    asyncio.run(serve())


@contextmanager
def _embedded(_accounts: list[str]) -> Iterator[int]:
    here, there = multiprocessing.Pipe()
    with tempfile.TemporaryDirectory() as directory:
        process = multiprocessing.get_context("spawn").Process(target=_serve, args=(Path(directory), there))
        process.start()
        try:
            yield here.recv()
        finally:
            with suppress(BrokenPipeError):
                here.send("stop")
            process.join(10)


@contextmanager
def _mosquitto(accounts: list[str]) -> Iterator[int]:
    salt = b"benchmark123"
    digest = base64.b64encode(hashlib.pbkdf2_hmac("sha512", _PASSWORD, salt, 101)).decode()
    hashed = f"$7$101${base64.b64encode(salt).decode()}${digest}"
    with (
        tempfile.TemporaryDirectory() as directory,
        LocalMosquitto(Path(directory), dict.fromkeys(accounts, hashed)) as broker,
    ):
        yield broker.port


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
