"""The stream between paho and its socket: messages and confirmations are ours, everything else is paho's."""

import socket
from collections.abc import Iterator

import pytest

from protocol.packets import puback, publish
from services.stream import Delivery, Stream

PINGRESP = b"\xd0\x00"
SUBACK = b"\x90\x03\x00\x01\x01"
PARTS = (publish("a/b", b"1", 1, False, 9), SUBACK, puback(5), publish("c", b"x" * 300, 0, True, 0), PINGRESP)


@pytest.fixture
def ends() -> Iterator[tuple[Stream, socket.socket]]:
    """A stream, and the broker's end of it."""
    here, there = socket.socketpair()
    here.setblocking(False)
    yield Stream(here, connection=3), there
    here.close()
    there.close()


def for_paho(stream: Stream) -> bytes:
    taken = b""
    while stream.for_paho and (some := stream.recv(2)):
        taken += some
    return taken


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_everything_is_sorted_however_the_bytes_were_cut(ends: tuple[Stream, socket.socket], size: int) -> None:
    stream, broker = ends
    sent = b"".join(PARTS)
    rest = b""
    for at in range(0, len(sent), size):
        broker.sendall(sent[at : at + size])
        stream.fill()
        rest += for_paho(stream)

    assert list(stream.arrived) == [Delivery("a/b", b"1", 1, 9, False, 3), Delivery("c", b"x" * 300, 0, 0, True, 3)]
    assert stream.confirmed == 1
    assert rest == SUBACK + PINGRESP


def test_nothing_there_yet_is_said_as_a_socket_says_it(ends: tuple[Stream, socket.socket]) -> None:
    stream, _ = ends
    stream.fill()

    with pytest.raises(BlockingIOError):
        stream.recv(1)


def test_paho_hears_the_end_after_what_came_before_it(ends: tuple[Stream, socket.socket]) -> None:
    stream, broker = ends
    broker.sendall(PINGRESP)
    broker.close()
    stream.fill()
    stream.fill()

    assert for_paho(stream) == PINGRESP
    assert stream.for_paho
    assert stream.recv(1) == b""


@pytest.mark.parametrize("nonsense", [publish("a/b", b"", 1, False, 0), b"\x30\xff\xff\xff\xff", b"\x30\xff\xff\x7f"])
def test_what_is_not_mqtt_ends_the_connection(ends: tuple[Stream, socket.socket], nonsense: bytes) -> None:
    stream, broker = ends
    broker.sendall(nonsense)
    stream.fill()

    assert stream.for_paho
    assert stream.recv(1) == b""


def test_what_the_kernel_does_not_take_is_given_back(ends: tuple[Stream, socket.socket]) -> None:
    stream, broker = ends
    data = bytes(range(256)) * 20_000
    rest = stream.send_now(data)
    assert 0 < len(rest) < len(data)
    assert stream.send_now(rest) == rest

    taken = b""
    while len(taken) < len(data) - len(rest):
        taken += broker.recv(65_536)
    assert taken + rest == data
