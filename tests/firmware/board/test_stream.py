"""The stream to the broker over real sockets: each end is told once, and a given-up stream tells nothing."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Callable

import pytest

from firmware.board.stream import MAX_WAITING_BYTES, READ_BYTES, Stream
from firmware.core.ports import Linked, LinkLost, Port, Received


class Peer:
    """A server with one connection, and the facts that a stream to it told."""

    def __init__(self) -> None:
        self.facts: list[Port] = []
        self.reader: asyncio.StreamReader | None = None
        self.writer: asyncio.StreamWriter | None = None
        self.told = asyncio.Event()

    def tell(self, fact: Port) -> None:
        self.facts.append(fact)
        self.told.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.told.set()

    async def until(self, happened: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not happened():
                self.told.clear()
                await self.told.wait()

    def got(self, kind: type[Port]) -> list[Port]:
        return [fact for fact in self.facts if type(fact) is kind]


@pytest.fixture
async def peer() -> AsyncIterator[tuple[Peer, Stream]]:
    """A peer, and a stream that is open to it."""
    one = Peer()
    async with await asyncio.start_server(one.serve, "127.0.0.1", 0) as server:
        stream = Stream("127.0.0.1", server.sockets[0].getsockname()[1], None, one.tell, lambda: True)
        stream.connect()
        await one.until(lambda: bool(one.facts) and one.writer is not None)
        assert one.facts == [Linked()]
        yield one, stream
        stream.disconnect()
        if one.writer is not None:
            one.writer.close()
            with contextlib.suppress(OSError):
                await one.writer.wait_closed()


async def test_bytes_come_in_small_portions_and_the_next_one_only_when_asked_for(peer: tuple[Peer, Stream]) -> None:
    one, stream = peer
    assert one.writer is not None
    one.writer.write(bytes(READ_BYTES + 10))
    await one.until(lambda: len(one.got(Received)) == 1)
    for _ in range(20):
        await asyncio.sleep(0)
    assert one.got(Received) == [Received(bytes(READ_BYTES))]
    stream.resume()
    await one.until(lambda: len(one.got(Received)) == 2)
    assert one.got(Received)[1] == Received(bytes(10))


async def test_what_is_sent_arrives(peer: tuple[Peer, Stream]) -> None:
    one, stream = peer
    assert one.reader is not None
    stream.send(b"hello ")
    stream.send(b"broker")
    assert await asyncio.wait_for(one.reader.readexactly(12), 10) == b"hello broker"


async def test_a_stream_that_the_broker_closes_is_lost_once(peer: tuple[Peer, Stream]) -> None:
    one, stream = peer
    assert one.writer is not None
    one.writer.close()
    await one.until(lambda: bool(one.got(LinkLost)))
    stream.send(b"x")
    stream.send(b"y")
    assert one.got(LinkLost) == [LinkLost("the broker closed the stream", by_broker=True)]


async def test_a_stream_that_is_reset_was_ended_by_the_broker_too(peer: tuple[Peer, Stream]) -> None:
    one, _stream = peer
    assert one.writer is not None
    # As a socket that is closed over what it has not read, which a broker's is that is killed.
    one.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    one.writer.transport.abort()
    await one.until(lambda: bool(one.got(LinkLost)))
    (lost,) = one.got(LinkLost)
    assert isinstance(lost, LinkLost)
    assert lost.by_broker, lost.reason


async def test_nothing_is_told_of_a_stream_that_was_given_up(peer: tuple[Peer, Stream]) -> None:
    one, stream = peer
    assert one.writer is not None
    assert one.reader is not None
    one.writer.write(b"late")
    stream.disconnect()
    with contextlib.suppress(ConnectionResetError):  # what it sent was never read
        assert await asyncio.wait_for(one.reader.read(), 10) == b""
    assert one.facts == [Linked()]


async def test_a_peer_that_takes_nothing_is_lost(peer: tuple[Peer, Stream]) -> None:
    one, stream = peer
    for _ in range(MAX_WAITING_BYTES // 1024 + 1):
        stream.send(bytes(1024))
    assert one.facts[1:] == [LinkLost("the broker takes nothing")]


async def test_without_a_network_nothing_is_looked_up() -> None:
    one = Peer()
    Stream("no.such.host.invalid", 1, None, one.tell, lambda: False).connect()
    assert one.facts == [LinkLost("there is no network")]


async def test_a_port_where_nobody_listens_is_a_lost_link(unused_tcp_port: int) -> None:
    one = Peer()
    Stream("127.0.0.1", unused_tcp_port, None, one.tell, lambda: True).connect()
    await one.until(lambda: bool(one.facts))
    assert [type(fact) for fact in one.facts] == [LinkLost]
