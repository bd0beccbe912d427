"""What a broker sends, sorted before paho sees it: messages and confirmations are taken out, the rest is paho's.

paho asks the kernel for a byte at a time and makes objects of every packet, 26 us for a message; this takes 3
(docs/decisions/0006-reading-fast.md). Signing in, TLS, subscribing and keepalive stay paho's.
"""

import socket
import ssl
from collections import deque
from typing import NamedTuple

from protocol.packets import PUBACK, PUBLISH, TYPE, Framer, Malformed, length_bytes, parse_puback, parse_publish

_PORTION_BYTES = 65_536

# Far above anything of the protocol, so that no broker's packet is taken for an attack.
_PACKET_MOST_BYTES = 1 << 20


_NOT_YET = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Delivery(NamedTuple):
    """One message from the broker. `mid` and `connection` acknowledge it, on the connection that brought it only."""

    topic: str
    payload: bytes
    qos: int
    mid: int
    retained: bool = False
    connection: int = 0


class Stream:
    """Stands where paho expects its socket. `arrived` are the messages, `confirmed` counts the PUBACKs of ours."""

    def __init__(self, sock: socket.socket, connection: int) -> None:
        self.arrived: deque[Delivery] = deque()
        self.confirmed = 0
        self.connection = connection
        self.send = sock.send
        self.close = sock.close
        self.fileno = sock.fileno
        self._sock = sock
        self._framer = Framer(_PACKET_MOST_BYTES)
        self._rest = bytearray()
        self._ended = False

    @property
    def for_paho(self) -> bool:
        """Whether `recv` has something to say."""
        return bool(self._rest) or self._ended

    def fill(self) -> None:
        """Read what there is. The end of the stream, whatever ended it, is heard by paho like any other."""
        try:
            while self._fill():
                pass
        except _NOT_YET:
            pass
        except (OSError, Malformed):
            self._ended = True

    def send_now(self, data: bytes) -> bytes:
        """Write what the kernel takes at once; the rest of `data`. The end of the stream is heard when it is read."""
        try:
            return data[self.send(data) :]
        except _NOT_YET:
            return data
        except OSError:
            return b""

    def recv(self, size: int) -> bytes:
        """For paho: at most `size` bytes of what is its own; none at the end of the stream."""
        if not self.for_paho:
            raise BlockingIOError
        taken = bytes(self._rest[:size])
        del self._rest[:size]
        return taken

    def _fill(self) -> bool:
        """Read one portion; whether there is more that the kernel knows nothing of."""
        portion = self._sock.recv(_PORTION_BYTES)
        if not portion:
            self._ended = True
            return False
        for first, body in self._framer.feed(portion):
            kind = first & TYPE
            if kind == PUBLISH:
                topic, payload, qos, retained, mid = parse_publish(first, body)
                self.arrived.append(Delivery(topic, payload, qos, mid, retained, self.connection))
            elif kind == PUBACK:
                parse_puback(body)
                self.confirmed += 1
            else:
                self._rest += bytes((first,)) + length_bytes(len(body)) + body
        return isinstance(self._sock, ssl.SSLSocket) and self._sock.pending() > 0
