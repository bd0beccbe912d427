"""`asyncio.open_connection` over the bridge, with the manners of MicroPython's own Stream.

Connecting succeeds also when nobody is there, and `close` does nothing: `wait_closed` does.
"""

import binascii

import _bridge  # type: ignore[import-not-found]  # made in vm.mjs


class Stream:
    """Reader and writer in one."""

    def __init__(self, number: int) -> None:
        self._number = number

    async def read(self, count: int) -> bytes:
        """At most `count` bytes as soon as there are any; none at the end."""
        await _bridge.ready(self._number)
        taken = _bridge.take(self._number, count)
        _check(taken)
        return binascii.unhexlify(taken)

    def write(self, data: bytes) -> None:
        """Hand the bytes over at once, as far as the network takes them."""
        _check(_bridge.write(self._number, binascii.hexlify(data).decode()) or "")

    async def drain(self) -> None:
        """Returns when the network has taken all that was written."""
        _check(await _bridge.drain(self._number) or "")

    def close(self) -> None:
        """Nothing, as on the chip."""

    async def wait_closed(self) -> None:
        """Close."""
        _bridge.close(self._number)


def _check(answer: "str | int") -> None:
    """Raise what the bridge says went wrong."""
    if isinstance(answer, int):
        raise OSError(answer)
    if answer == "tls":
        raise ValueError("invalid cert")


async def open_connection(
    host: str, port: int, ssl: "object" = None, server_hostname: "str | None" = None
) -> "tuple[Stream, Stream]":
    """A stream to `host`; with `ssl` under TLS, which JavaScript does here."""
    stream = Stream(await _bridge.connect(host, port, ssl.trusted if ssl is not None else None))  # type: ignore[attr-defined]  # the context of inside/ssl.py
    return stream, stream
