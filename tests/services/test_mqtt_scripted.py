"""A link to a server that says what a test has written: a busy one, one that confirms late, one that goes away."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from protocol import packets, topics
from services.mqtt import Account, BrokerAddress, BrokerLost, Link, Outgoing, _Client, connected

INGEST = Account("svc_ingest", "secret")
TOPIC = topics.ACCEPT.topic("kitchen")
RECEIPT = Outgoing(topics.RECEIPT.topic("kitchen"), b"{}", 1, retained=False)

# aiomqtt alone notices after 10 s that a publish will never be confirmed.
SOON_S = 5.0

_CONNACK = b"\x20\x02\x00\x00"
_PINGREQ, _PINGRESP = b"\xc0\x00", b"\xd0\x00"

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def serving(script: Script) -> AsyncIterator[BrokerAddress]:
    """Every connection is served by the script; its stream is closed at the end of it."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer):
            await script(reader, writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield BrokerAddress("127.0.0.1", server.sockets[0].getsockname()[1])


async def test_a_connection_on_which_only_messages_come_is_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.mqtt._KEEPALIVE_S", 1)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answers no ping, but has something to say ten times a second."""
        await reader.read(1024)
        writer.write(_CONNACK)
        while not writer.is_closing():
            writer.write(packets.publish(TOPIC, b"x", 0, False, 0))
            await asyncio.sleep(0.1)

    heard = 0
    async with asyncio.timeout(20), serving(talk) as address, connected(address, INGEST) as link:
        # Three and a half times the keepalive.
        while heard < 35:
            heard += len(await link.batch(1000))


async def test_a_connection_that_is_not_read_for_long_is_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.mqtt._KEEPALIVE_S", 1)
    monkeypatch.setattr("services.mqtt.WAITING_MOST", 10)
    heard: list[bytes] = []
    heard_enough = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Says more than is taken, and answers pings."""
        await reader.read(1024)
        writer.write(_CONNACK + 20 * packets.publish(TOPIC, b"x", 0, False, 0))
        while len(heard) < 4:
            heard.append(await reader.read(1024))
            writer.write(_PINGRESP)
        heard_enough.set()
        await reader.read()

    async with asyncio.timeout(20), serving(talk) as address, connected(address, INGEST, manual_ack=True) as link:
        await link.batch(1)
        await heard_enough.wait()
    # Pings, and no end of the stream.
    assert heard == [_PINGREQ] * 4


async def test_publishing_waits_for_the_broker_only_where_there_is_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.mqtt._UNCONFIRMED_MOST", 150)
    told: asyncio.Queue[range] = asyncio.Queue()

    async def confirm(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Confirms what it is told to."""
        await reader.read(1024)
        writer.write(_CONNACK)
        for _ in range(2):
            writer.write(b"".join([packets.puback(mid) for mid in await told.get()]))
        await reader.read()

    async with asyncio.timeout(SOON_S), serving(confirm) as address, connected(address, INGEST) as link:
        await link.publish([RECEIPT] * 150)
        assert link.room == 0

        more = asyncio.create_task(link.publish([RECEIPT]))
        await asyncio.wait((more,), timeout=0.05)
        assert not more.done()
        told.put_nowait(range(1, 2))
        await more
        assert link.room == 0

        told.put_nowait(range(2, 152))
        await link.confirmed()
        assert link.room == 150


async def publish(link: Link) -> None:
    await link.publish([RECEIPT])
    await link.confirmed()


async def subscribe(link: Link) -> None:
    await link.subscribe([topics.STATUS.filter()])


async def wait_for_messages(link: Link) -> None:
    asking = asyncio.create_task(subscribe(link))
    try:
        await link.batch(10)
    finally:
        await asyncio.gather(asking, return_exceptions=True)


@pytest.mark.parametrize("act", [publish, subscribe, wait_for_messages])
async def test_what_nobody_will_answer_ends_with_the_connection(act: Callable[[Link], Awaitable[None]]) -> None:
    async def die(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Takes the connection, and closes it at the first packet after CONNECT, unanswered."""
        await reader.read(1024)
        writer.write(_CONNACK)
        await reader.read(1024)

    async with asyncio.timeout(SOON_S), serving(die) as address, connected(address, INGEST) as link:
        with pytest.raises(BrokerLost):
            await act(link)


@pytest.mark.parametrize("answer", [b"", _CONNACK])
async def test_a_connection_that_is_closed_at_once_is_tried_again(answer: bytes) -> None:
    tries = 0

    async def die_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal tries
        tries += 1
        await reader.read(1024)
        if tries == 1:
            writer.write(answer)
        else:
            writer.write(_CONNACK)
            await reader.read(1024)

    async with asyncio.timeout(SOON_S), serving(die_once) as address, connected(address, INGEST):
        pass
    assert tries == 2


async def test_a_connection_that_closes_before_the_loop_watches_it_is_no_error() -> None:
    heard: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: heard.append(context))
    client = _Client("127.0.0.1")
    ours, theirs = socket.socketpair()
    client._on_socket_register_write(client.paho, None, ours)
    ours.close()
    theirs.close()
    await asyncio.sleep(0)
    assert heard == []
