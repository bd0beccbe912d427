"""The radio: one stream to the broker, over a Wi-Fi that can go away in the ways that a real one does.

A stream that ends by an order or a drop is reset. One that dies by a power cut or turns half-open stays open and
silent for the broker, as it does in the field, until the broker closes it or the dispenser's next session takes over.
"""

import asyncio
import ssl
from typing import NamedTuple, Protocol

# Silent streams one dispenser leaves behind before the oldest is reset. Brokers close them at the next sign-in.
MAX_SILENT = 4

# CONNACK: packet type 2, two more bytes, and a last byte of 0 when the broker said yes.
_CONNACK = b"\x20\x02"
_CONNACK_BYTES = 4


class Network(NamedTuple):
    """Where the broker is. `tls` None: plain TCP."""

    host: str
    port: int
    tls: ssl.SSLContext | None = None


class Hears(Protocol):
    """Whom the radio tells. Only of the present stream: an ended one is never heard of again."""

    def linked(self) -> None:
        """The stream is open."""

    def signed_in(self) -> None:
        """The broker accepted the session."""

    def received(self, data: bytes) -> None:
        """Bytes came."""

    def lost(self, reason: str, by_broker: bool) -> None:
        """The stream ended or could not be opened. `by_broker`: the broker ended one that was open."""


class Wifi:
    """One dispenser's radio. `online`: the broker accepted the session of the present stream."""

    __slots__ = (
        "_attempt",
        "_connecting",
        "_down_until",
        "_hears",
        "_link",
        "_loop",
        "_network",
        "_streams",
        "_tasks",
        "online",
    )

    def __init__(self, network: Network, hears: Hears) -> None:
        self._network = network
        self._hears = hears
        self._loop = asyncio.get_running_loop()
        self._link: _Link | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._tasks: list[asyncio.Task[None]] = []  # the one connecting, and those that were cancelled a moment ago
        self._streams: list[_Link] = []  # every one that has a socket, the silent ones too
        self._attempt = 0
        self._down_until = 0.0
        self.online = False

    @property
    def sockets(self) -> int:
        """Open sockets, those of silent streams included."""
        return len(self._streams)

    def connect(self) -> None:
        """Open a stream; `linked` or `lost` follows."""
        self.disconnect()
        if self._loop.time() < self._down_until:
            self._loop.call_soon(self._failed, self._attempt, "Wi-Fi is down")
        else:
            self._connecting = self._loop.create_task(self._open(self._attempt))
            self._tasks.append(self._connecting)
            self._connecting.add_done_callback(self._tasks.remove)

    def disconnect(self) -> None:
        """Reset the stream, or stop opening it. Nothing is heard of it again."""
        link = self._forget()
        if link is not None and not link.silent:
            link.abort()

    def send(self, data: bytes) -> None:
        """Write to the stream. Without one the bytes are gone, as on a board whose `lost` is still on its way."""
        if self._link is not None:
            self._link.send(data)

    def drop(self, for_ms: int) -> None:
        """Wi-Fi goes away: the stream is reset, and none can be opened for `for_ms`."""
        self._down_until = self._loop.time() + for_ms / 1000
        if self._link is not None or self._connecting is not None:
            self.disconnect()
            self._loop.call_soon(self._failed, self._attempt, "Wi-Fi went away")

    def half_open(self) -> None:
        """From now on nothing passes in the present stream, and neither end is told."""
        self.online = False
        if self._link is not None:
            self._link.silent = True

    def hold(self, for_ms: int) -> None:
        """Keep back what is sent for `for_ms`, then let it go in order."""
        if self._link is not None:
            self._link.hold(for_ms)

    def power_off(self) -> None:
        """Power is gone: the broker is not told, and nothing more is heard here."""
        link = self._forget()
        if link is not None:
            link.silent = True

    async def close(self) -> None:
        """Reset every stream, the silent ones too; returns when their sockets are closed."""
        self.disconnect()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for link in list(self._streams):
            link.abort()
            await link.wait_closed()

    def _forget(self) -> "_Link | None":
        """Let go of the present stream or attempt; what still arrives from it is stale."""
        self._attempt += 1
        link, self._link = self._link, None
        self.online = False
        if self._connecting is not None:
            self._connecting.cancel()
            self._connecting = None
        return link

    async def _open(self, attempt: int) -> None:
        host, port, tls = self._network
        try:
            await self._loop.create_connection(lambda: _Link(self, attempt), host, port, ssl=tls)
        except OSError as error:  # also what TLS raises
            self._failed(attempt, f"{host}:{port}: {error}")
        if attempt == self._attempt:
            self._connecting = None

    def _failed(self, attempt: int, reason: str, by_broker: bool = False) -> None:
        if attempt == self._attempt:
            self._forget()
            self._hears.lost(reason, by_broker)

    def _made(self, link: "_Link", attempt: int) -> None:
        self._streams.append(link)
        if len(self._streams) > MAX_SILENT:
            self._streams[0].abort()
        if attempt != self._attempt:
            link.abort()
            return
        self._link = link
        self._hears.linked()

    def _received(self, link: "_Link", data: bytes) -> None:
        if link is self._link:
            self._hears.received(data)

    def _signed_in(self, link: "_Link") -> None:
        if link is self._link:
            self.online = True
            self._hears.signed_in()

    def _lost(self, link: "_Link", reason: str) -> None:
        self._streams.remove(link)
        if link is self._link and not link.silent:  # of a silent one's end the dispenser cannot know
            self._failed(self._attempt, reason, by_broker=True)


class _Link(asyncio.Protocol):
    """One stream. While `silent`, nothing passes in either direction."""

    __slots__ = ("_attempt", "_closed", "_head", "_held", "_transport", "_wifi", "silent")

    def __init__(self, wifi: Wifi, attempt: int) -> None:
        self._wifi = wifi
        self._attempt = attempt
        self._transport: asyncio.Transport | None = None
        self._closed: asyncio.Future[None] | None = None
        self._head: bytes | None = b""
        self._held: bytearray | None = None
        self.silent = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.Transport):
            self._transport = transport
        self._wifi._made(self, self._attempt)

    def data_received(self, data: bytes) -> None:
        if self.silent:
            return  # read and thrown away, so that the broker closing its end is still noticed
        self._wifi._received(self, data)
        if self._head is not None:
            self._head += data[:_CONNACK_BYTES]
            if len(self._head) >= _CONNACK_BYTES:
                accepted = self._head.startswith(_CONNACK) and self._head[3] == 0
                self._head = None
                if accepted:
                    self._wifi._signed_in(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._wifi._lost(self, str(error) if error else "the broker closed the stream")
        if self._closed is not None and not self._closed.done():
            self._closed.set_result(None)

    def send(self, data: bytes) -> None:
        if self.silent or self._transport is None:
            return
        if self._held is not None:
            self._held += data
        else:
            self._transport.write(data)

    def hold(self, for_ms: int) -> None:
        if self._held is None:
            self._held = bytearray()
            asyncio.get_running_loop().call_later(for_ms / 1000, self._release)

    def _release(self) -> None:
        held, self._held = self._held, None
        if held:
            self.send(bytes(held))

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    async def wait_closed(self) -> None:
        """Returns when the transport is gone."""
        if self._transport is not None:
            self._closed = asyncio.get_running_loop().create_future()
            await self._closed
