"""The name server of the set-up network: every name is this dispenser, so that phones show the set-up page."""

import asyncio
import socket

# A query for one name; answers are not larger than what every resolver takes.
_MAX_QUERY = 512

_HEAD = 12
_TYPE_A = b"\x00\x01"
_CLASS_IN = b"\x00\x01"

# Names are asked again soon: the phone is to forget them when it is back in its own network.
_LIFE_S = 10

# There is no waiting for datagrams in MicroPython's asyncio. A person does not notice a 20th of a second.
_LOOK_EVERY_MS = 50


def answer(query: bytes, address: bytes) -> "bytes | None":
    """The answer to a DNS query: `address` (4 bytes) for every IPv4 question, nothing for others; None: no query."""
    if not _HEAD < len(query) <= _MAX_QUERY or query[2] & 0xF8 or query[4:6] != b"\x00\x01":
        return None
    end = _HEAD
    while end < len(query) and query[end]:
        if query[end] > 63:
            return None
        end += query[end] + 1
    question = query[_HEAD : end + 5]
    if len(question) != end + 5 - _HEAD:
        return None
    is_known = question[-4:] == _TYPE_A + _CLASS_IN
    head = query[:2] + b"\x84\x00\x00\x01" + (b"\x00\x01" if is_known else b"\x00\x00") + b"\x00\x00\x00\x00"
    if not is_known:
        return head + question
    # The name is the one at the question's place.
    return head + question + b"\xc0\x0c" + _TYPE_A + _CLASS_IN + _LIFE_S.to_bytes(4, "big") + b"\x00\x04" + address


async def serve_names(host: str, port: int, address: bytes) -> None:
    """Answer until cancelled. Raises OSError when the port cannot be had."""
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        server.setblocking(False)
        server.bind(socket.getaddrinfo(host, port)[0][-1])
        while True:
            try:
                query, sender = server.recvfrom(_MAX_QUERY)
                reply = answer(query, address)
                if reply is not None:
                    server.sendto(reply, sender)
            except OSError:
                # Nothing is there, or an answer could not leave: the phone asks again.
                await asyncio.sleep(_LOOK_EVERY_MS / 1000)
    finally:
        server.close()
