"""The air between a dispenser and its broker: a relay that can go away in the ways that Wi-Fi does."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

_PORTION = 4096


class Air:
    """Carries bytes to `port` and back; `port` of its own is where the dispenser connects."""

    def __init__(self, to_port: int) -> None:
        self._to_port = to_port
        self.port = 0
        self.connects = 0
        self._flows = asyncio.Event()
        self._flows.set()
        self._is_up = True
        self._writers: set[asyncio.StreamWriter] = set()

    def reset(self) -> None:
        """Every connection breaks, and no new one gets through until `restore`."""
        self._is_up = False
        for writer in self._writers:
            writer.transport.abort()

    def freeze(self) -> None:
        """Nothing passes until `restore`; then what was held does, as TCP repeats what was lost."""
        self._flows.clear()

    def restore(self) -> None:
        """Wi-Fi is back."""
        self._is_up = True
        self._flows.set()

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection of the dispenser."""
        self._writers.add(writer)
        try:
            if not self._is_up:
                return
            self.connects += 1
            there, to_broker = await asyncio.open_connection("127.0.0.1", self._to_port)
            self._writers.add(to_broker)
            try:
                ways = [asyncio.create_task(self._pump(reader, to_broker))]
                ways.append(asyncio.create_task(self._pump(there, writer)))
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
            finally:
                self._writers.discard(to_broker)
                to_broker.transport.abort()
        except OSError:
            pass  # nobody listens at the other end: the dispenser is told below
        finally:
            self._writers.discard(writer)
            writer.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(_PORTION):
                await self._flows.wait()
                writer.write(data)
                await writer.drain()


@contextlib.asynccontextmanager
async def air(to_port: int) -> AsyncIterator[Air]:
    """A relay that runs while the block runs."""
    one = Air(to_port)
    server = await asyncio.start_server(one.carry, "127.0.0.1", 0)
    one.port = server.sockets[0].getsockname()[1]
    try:
        yield one
    finally:
        server.close()
        one.reset()
        await server.wait_closed()
