"""The embedded broker's connections, where its bounds are its own (the rest is in `contract/`)."""

import asyncio
import random
import socket

import pytest

from broker.connection import Connection
from broker.engine import Engine
from broker.limits import Limits, QueueLimit
from broker.server import EmbeddedBroker
from tests.broker.conftest import Face, MakeEmbedded, connect_bytes, publish_bytes

STATUS = "pitada/v1/dev-a/status"


async def test_a_connection_that_sends_no_connect_is_closed_in_time(embedded: MakeEmbedded) -> None:
    running, broker = await embedded(Limits(connect_timeout_s=0.2))
    silent = await broker.raw()
    half = await broker.raw()
    half.send(connect_bytes("dev-a")[:-1])

    await silent.closed()
    await half.closed()

    assert running.counters.connect_timeouts == 2


def test_the_time_for_a_connect_is_ten_seconds_at_most() -> None:
    assert Limits().connect_timeout_s <= 10


async def test_a_connection_over_the_limit_is_closed_at_once_and_the_others_go_on(embedded: MakeEmbedded) -> None:
    running, broker = await embedded(Limits(connections=2))
    first, second = await broker.client("dev-a"), await broker.client("dev-b")

    await (await broker.raw()).closed()

    assert running.counters.connections_over_limit == 1
    await first.ping()
    await second.leave()
    await (await broker.client("dev-b")).ping()


@pytest.mark.parametrize("data", [b"\x90\x03\x00\x01\x00", b"\xb0\x02\x00\x01", b"\x50\x02\x00\x01", b"\xd0\x00"])
async def test_a_packet_that_only_a_server_sends_closes_the_connection(embedded: MakeEmbedded, data: bytes) -> None:
    running, broker = await embedded(Limits())
    client = await broker.client("dev-a")

    client.send(data)

    await client.closed()
    assert running.counters.malformed == 1


async def test_while_the_accounts_cannot_be_read_a_client_is_told_to_come_back_and_the_others_go_on() -> None:
    away = False

    def authenticate(user: str, password: bytes) -> bool:
        if away:
            raise OSError("the database does not answer")
        return True

    async with EmbeddedBroker(authenticate=authenticate) as running:
        broker = Face("embedded", running.host, running.port)
        first = await broker.client("dev-a")
        away = True
        refused = await broker.raw()
        refused.send(connect_bytes("dev-b"))
        assert await refused.packet() == (0x20, b"\x00\x03")
        await refused.closed()
        await first.ping()
        away = False
        await (await broker.client("dev-b")).ping()
        await broker.close()


async def test_another_protocol_version_is_answered_with_code_1(embedded: MakeEmbedded) -> None:
    _, broker = await embedded(Limits())
    client = await broker.raw()

    client.send(connect_bytes("dev-a").replace(b"MQTT\x04", b"MQTT\x05"))

    assert await client.packet() == (0x20, b"\x00\x01")
    await client.closed()


async def test_an_empty_client_id_without_clean_session_is_answered_with_code_2(embedded: MakeEmbedded) -> None:
    _, broker = await embedded(Limits())
    client = await broker.raw()

    client.send(connect_bytes("dev-a", client_id="", clean=False))

    assert await client.packet() == (0x20, b"\x00\x02")
    await client.closed()


async def test_a_slow_reader_costs_no_more_than_its_queue_and_loses_nothing_within_it(embedded: MakeEmbedded) -> None:
    limits = Limits(unsent_bytes=65_536, service_queue=QueueLimit(messages=2_000, bytes=64 * 1024 * 1024))
    running, broker = await embedded(limits)
    slow = await broker.client("svc_ingest")
    await slow.subscribe(("pitada/v1/+/status", 1))
    slow.read_on(False)
    device = await broker.client("dev-a")
    for number in range(1_500):
        await device.publish(STATUS, b"%06d" % number + b"x" * 10_000)
    sent_while_slow = running.counters.sent

    slow.read_on(True)
    await device.publish(STATUS, b"last")
    found = await slow.messages_until(b"last")

    assert sent_while_slow < 1_500
    assert [int(message.payload[:6]) for message in found] == list(range(1_500))
    assert running.counters.dropped_queue_full == 0


class Clogged(asyncio.Transport):
    """A transport whose peer reads nothing: what is written stays."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__({"socket": sock})
        self.reading = True
        self._unread = 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self.high = high

    def get_write_buffer_size(self) -> int:
        return self._unread

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._unread += len(data)

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def is_closing(self) -> bool:
        return False


async def test_a_client_that_does_not_read_its_answers_is_not_read_either() -> None:
    with socket.socket() as sock:
        limits = Limits(unsent_bytes=1_000)
        transport = Clogged(sock)
        connection = Connection(Engine(limits), lambda _user, _password: True, limits, set())
        connection.connection_made(transport)
        connection.data_received(connect_bytes("dev-a"))
        await asyncio.sleep(0)
        reading_at_first = transport.reading

        connection.data_received(b"\xc0\x00" * 1_001)
        await asyncio.sleep(0)
        reading_when_clogged = transport.reading
        connection.resume_writing()

        assert (reading_at_first, reading_when_clogged, transport.reading) == (True, False, True)
        connection.connection_lost(None)


async def test_random_bytes_never_end_anything_but_their_own_connection(embedded: MakeEmbedded) -> None:
    running, broker = await embedded(Limits())
    bystander = await broker.client("dev-b")
    chance = random.Random(20)
    errors: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: errors.append(context))
    whole = publish_bytes(STATUS, b"payload")

    for _ in range(300):
        client = await broker.raw()
        data = bytearray(connect_bytes("dev-a") + whole)
        for _ in range(chance.randint(1, 4)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        client.send(bytes(data) + chance.randbytes(20))
        client.writer.write_eof()
        await client.closed()

    await bystander.ping()
    assert errors == []
    assert running.counters.connections == 1


async def test_stopping_keeps_the_last_wills_as_retained_messages(embedded: MakeEmbedded) -> None:
    first, broker = await embedded(Limits())
    await broker.client("dev-a", will=(STATUS, b"offline", 1, True))
    await first.stop()

    second, again = await embedded(Limits())
    ingest = await again.client("svc_ingest")
    await ingest.subscribe(("pitada/v1/+/status", 1))

    assert (await ingest.message()).payload == b"offline"
    assert second.retained_count == 1
