"""The stream to the broker: TCP, with TLS where there is a certificate to trust.

A task opens it and reads; writing never waits. Nothing is told of a stream that was given up.
"""

import asyncio
import errno

from firmware.core.ports import Linked, LinkLost, Port, Received

try:
    from ssl import SSLContext
    from typing import Callable, Coroutine
except ImportError:  # only type checkers look at these
    pass

# What is read at once. One step of the core handles it, and a flask that is due has to wait for that step: a few
# short packets take a millisecond or two on an ESP32.
READ_BYTES = 256

# What the network may owe us: a report, some acknowledgements, and as much again. More than this waits for a peer that
# takes nothing.
MAX_WAITING_BYTES = 16_384


class Stream:
    """One stream at a time to `host`. Facts go to `tell`; `is_up()` says whether there is a network at all.

    After a `Received` no more is read until `resume`.
    """

    def __init__(
        self,
        host: str,
        port: int,
        tls: "SSLContext | None",
        tell: "Callable[[Port], None]",
        is_up: "Callable[[], bool]",
    ) -> None:
        self._host = host
        self._port = port
        self._tls = tls
        self._tell = tell
        self._is_up = is_up
        self._link = None  # type: _Link | None

    def connect(self) -> None:
        """Open a stream: `Linked` or `LinkLost` follows. May block for a DNS look-up: not while a flask is open."""
        self.disconnect()
        if not self._is_up():
            self._tell(LinkLost("there is no network"))
            return
        self._link = _Link(self._tell)
        self._link.open(self._host, self._port, self._tls)

    def disconnect(self) -> None:
        """Close the stream at once, or give up opening it."""
        link, self._link = self._link, None
        if link is not None:
            link.close()

    def send(self, data: bytes) -> None:
        """Write; what goes wrong is told as `LinkLost`."""
        if self._link is not None:
            self._link.send(data)

    def resume(self) -> None:
        """The last `Received` was handled."""
        if self._link is not None:
            self._link.taken.set()


class _Link:
    """A stream from its opening to its end."""

    def __init__(self, tell: "Callable[[Port], None]") -> None:
        self._tell = tell
        self._is_over = False
        self._tasks = []  # type: list[asyncio.Task[None]]
        self._writer = None  # type: asyncio.StreamWriter | None
        self._waiting = 0  # bytes written since the peer had taken all
        self._written = asyncio.Event()
        self.taken = asyncio.Event()

    def open(self, host: str, port: int, tls: "SSLContext | None") -> None:
        self._start(self._read, host, port, tls)

    def send(self, data: bytes) -> None:
        if self._is_over or self._writer is None:
            return
        self._waiting += len(data)
        if self._waiting > MAX_WAITING_BYTES:
            self._lost("the broker takes nothing")
            return
        try:
            self._writer.write(data)
        except (OSError, ValueError) as error:
            self._broken(error)
            return
        self._written.set()

    def close(self) -> None:
        """Nothing is told from here on."""
        self._is_over = True
        for task in self._tasks:
            if task is not asyncio.current_task():  # that one cannot cancel itself in MicroPython, and ends by itself
                task.cancel()

    def _start(self, work: "Callable[..., Coroutine[None, None, None]]", *arguments: "object") -> None:
        self._tasks.append(asyncio.create_task(self._guard(work, arguments)))

    async def _read(self, host: str, port: int, tls: "SSLContext | None") -> None:
        name = host if tls is not None else None
        reader, self._writer = await asyncio.open_connection(host, port, ssl=tls, server_hostname=name)
        self._start(self._drain, self._writer)
        self._say(Linked())
        while True:
            data = await reader.read(READ_BYTES)
            if not data:
                self._lost("the broker closed the stream", by_broker=True)
                return
            self.taken.clear()
            self._say(Received(data))
            await self.taken.wait()

    async def _drain(self, writer: "asyncio.StreamWriter") -> None:
        """Push on what did not fit into the network's buffers."""
        while True:
            await self._written.wait()
            self._written.clear()
            waited = self._waiting
            await writer.drain()
            self._waiting -= waited

    async def _guard(self, work: "Callable[..., Coroutine[None, None, None]]", arguments: "tuple[object, ...]") -> None:
        """Tell what ends a task: one that dies of a lack of memory would do so in silence."""
        try:
            await work(*arguments)
        except (OSError, EOFError, ValueError, MemoryError, asyncio.TimeoutError) as error:
            self._broken(error)
        finally:
            await self._shut()

    async def _shut(self) -> None:
        """Close the socket now. `close` alone does nothing in MicroPython, and waits for the peer in CPython."""
        writer, self._writer = self._writer, None
        if writer is None:
            return
        transport = getattr(writer, "transport", None)
        if transport is not None:
            transport.abort()
        writer.close()
        try:
            await writer.wait_closed()
        except (OSError, ValueError):
            pass  # it is closed all the same

    def _say(self, fact: Port) -> None:
        if not self._is_over:
            self._tell(fact)

    def _broken(self, error: Exception) -> None:
        # A broker that is killed while it has something unread ends its streams so.
        is_reset = isinstance(error, OSError) and error.errno == errno.ECONNRESET
        self._lost(_words(error), by_broker=is_reset)

    def _lost(self, reason: str, by_broker: bool = False) -> None:
        if not self._is_over:
            self.close()
            self._tell(LinkLost(reason, by_broker))


def _words(error: BaseException) -> str:
    return f"{type(error).__name__} {error}"
