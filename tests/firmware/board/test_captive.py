"""Every name is the dispenser."""

import asyncio
import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.board.captive import answer, serve_names

ADDRESS = bytes([192, 168, 4, 1])
TYPE_A, TYPE_AAAA = 1, 28


def query(name: str, type: int = TYPE_A, id: int = 0x1234, count: int = 1) -> bytes:
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split(".") if label)
    return struct.pack(">HHHHHH", id, 0x0100, count, 0, 0, 0) + labels + b"\0" + struct.pack(">HH", type, 1)


@pytest.mark.parametrize("name", ["connectivitycheck.gstatic.com", "captive.apple.com", "a", ""])
def test_every_name_is_this_address(name: str) -> None:
    asked = query(name)
    reply = answer(asked, ADDRESS)
    assert reply is not None
    assert struct.unpack(">HHHHHH", reply[:12]) == (0x1234, 0x8400, 1, 1, 0, 0)
    assert reply[12 : len(asked)] == asked[12:]
    assert reply[len(asked) :] == b"\xc0\x0c" + struct.pack(">HHIH", TYPE_A, 1, 10, 4) + ADDRESS


def test_another_kind_of_question_has_no_answer_but_is_answered() -> None:
    asked = query("captive.apple.com", TYPE_AAAA)
    reply = answer(asked, ADDRESS)
    assert reply is not None
    assert struct.unpack(">HHHHHH", reply[:12]) == (0x1234, 0x8400, 1, 0, 0, 0)
    assert reply[12:] == asked[12:]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        query("a.b")[:-1],
        query("a.b", count=2),
        b"\x12\x34\x81\x00" + query("a.b")[4:],  # an answer
        query("a.b")[:12] + b"\xc0\x0c\0\1\0\1",  # a name that points at itself
        query(".".join(["a" * 60] * 9)),
    ],
)
def test_what_is_no_query_for_one_name_is_not_answered(data: bytes) -> None:
    assert answer(data, ADDRESS) is None


@given(st.binary(max_size=600))
def test_no_bytes_raise(data: bytes) -> None:
    answer(data, ADDRESS)


async def test_it_answers_over_udp_until_it_is_cancelled() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    serving = asyncio.create_task(serve_names("127.0.0.1", port, ADDRESS))
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone:
        phone.setblocking(False)
        async with asyncio.timeout(10):
            await asyncio.sleep(0)  # it has bound its port after its first step
            await loop.sock_sendto(phone, b"no query", ("127.0.0.1", port))
            await loop.sock_sendto(phone, query("captive.apple.com"), ("127.0.0.1", port))
            assert (await loop.sock_recv(phone, 512))[-4:] == ADDRESS
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving
