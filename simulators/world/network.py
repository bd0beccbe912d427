"""Streams between dispensers and the broker: bytes in order, late, sometimes in pieces, gone when a stream is reset.

What Wi-Fi does to a dispenser (away, half-open) is `simulators.wifi`, the same as on a real network.
"""

import asyncio
import random
from collections.abc import Callable
from typing import Any, Protocol

from simulators.world.loop import VirtualLoop

# One way through Wi-Fi and a router: mostly quick, one packet in 20 is retransmitted once.
_QUICK_MS = (1, 15)
_SLOW_MS = (100, 800)
_SLOW_OF = 20
# One delivery in that many comes in two pieces.
_SPLIT_OF = 20


class Server(Protocol):
    """The broker's end of one stream."""

    def received(self, data: bytes) -> None: ...

    def lost(self) -> None: ...


# Takes a new stream and returns its server end; None: nobody listens.
Accept = Callable[["Stream"], Server | None]


class Network:
    """Where dispensers find the broker. `accept` is who listens now."""

    def __init__(self, loop: VirtualLoop, rng: random.Random, accept: Accept) -> None:
        self._loop = loop
        self._rng = rng
        self._accept = accept

    def latency_s(self) -> float:
        """How long one delivery takes."""
        low, high = _SLOW_MS if not self._rng.getrandbits(16) % _SLOW_OF else _QUICK_MS
        return (low + self._rng.random() * (high - low)) / 1000

    def split(self, data: bytes) -> list[bytes]:
        """The data as it arrives: in one piece or in two."""
        if len(data) > 1 and not self._rng.getrandbits(16) % _SPLIT_OF:
            at = 1 + self._rng.getrandbits(16) % (len(data) - 1)
            return [data[:at], data[at:]]
        return [data]

    async def open_stream(self, make: Callable[[], asyncio.Protocol], _host: str) -> Any:
        """`create_connection` of this world. Raises `ConnectionRefusedError` when nobody listens."""
        await asyncio.sleep(self.latency_s())
        stream = Stream(self._loop, self)
        server = self._accept(stream)
        if server is None:
            raise ConnectionRefusedError("nobody listens")
        stream.server = server
        stream.client = make()
        stream.client.connection_made(stream)
        return stream, stream.client


class Stream(asyncio.Transport):
    """One stream, and the transport of its client's end. Both ends hear of its end once, late."""

    def __init__(self, loop: VirtualLoop, network: Network) -> None:
        super().__init__()
        self.client: asyncio.Protocol | None = None
        self.server: Server | None = None
        self._loop = loop
        self._network = network
        self._up_s = 0.0
        self._down_s = 0.0
        self._client_open = True
        self._server_open = True

    # The client's end.

    def write(self, data: "bytes | bytearray | memoryview[Any]") -> None:
        if self._client_open:
            for piece in self._network.split(bytes(data)):
                self._up_s = max(self._up_s, self._loop.time() + self._network.latency_s())
                self._loop.call_at(self._up_s, self._reach_server, piece)

    def abort(self) -> None:
        """The client resets the stream: what it had sent may still be on its way, then comes the end."""
        if self._client_open:
            self._client_open = False
            self._loop.call_soon(self._tell_client)
            self._up_s = max(self._up_s, self._loop.time() + self._network.latency_s())
            self._loop.call_at(self._up_s, self._end_server)

    def is_closing(self) -> bool:
        return not self._client_open

    # The server's end.

    def send(self, data: bytes) -> None:
        """From the server to the client."""
        if self._server_open:
            for piece in self._network.split(data):
                self._down_s = max(self._down_s, self._loop.time() + self._network.latency_s())
                self._loop.call_at(self._down_s, self._reach_client, piece)

    def close(self) -> None:
        """The server closes: nothing more reaches it, and the client hears of it after what was sent before."""
        if self._server_open:
            self._server_open = False
            self._down_s = max(self._down_s, self._loop.time() + self._network.latency_s())
            self._loop.call_at(self._down_s, self._end_client)

    def _reach_server(self, data: bytes) -> None:
        if self._server_open and self.server is not None:
            self.server.received(data)

    def _reach_client(self, data: bytes) -> None:
        if self._client_open and self.client is not None:
            self.client.data_received(data)

    def _end_server(self) -> None:
        if self._server_open and self.server is not None:
            self._server_open = False
            self.server.lost()

    def _end_client(self) -> None:
        if self._client_open:
            self._client_open = False
            self._tell_client()

    def _tell_client(self) -> None:
        if self.client is not None:
            self.client.connection_lost(None)
