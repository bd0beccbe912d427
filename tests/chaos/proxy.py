"""The network between dispensers and their broker, failing on order: connections reset, silent, slow or refused."""

import asyncio
import math
import random
import socket
import struct
from collections import Counter
from typing import Self

CUT = "cut"
HALF_OPEN = "half_open"
SLOW = "slow"
REFUSE = "refuse"

# Why an end is not read, beside HALF_OPEN and SLOW: its other end is not connected yet, or takes no more bytes now.
_CONNECTING = "connecting"
_FULL = "full"

# Closing with this is a reset, whatever was read before.
_RESET = struct.pack("ii", 1, 0)


class FaultProxy:
    """`async with FaultProxy(host, port, rng) as proxy:` passes on what comes to `proxy.port`, and the answers back.

    A fault strikes a share (0 to 1) of the connections that are open, drawn by `rng`: the same seed, the same ones.
    `faults` counts the orders by kind, `struck` the connections that they struck (for `REFUSE`: that were refused).
    """

    def __init__(self, host: str, port: int, rng: random.Random) -> None:
        self.port = 0
        self.faults: Counter[str] = Counter()
        self.struck: Counter[str] = Counter()
        self._target = (host, port)
        self._rng = rng
        self._wires: dict[_Wire, None] = {}  # in the order of their arrival
        self._refusing_until_s = 0.0
        self._server: asyncio.Server | None = None

    @property
    def connections(self) -> int:
        return len(self._wires)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.get_running_loop().create_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_error: object) -> None:
        assert self._server is not None
        self._server.close()
        wires = list(self._wires)
        for wire in wires:
            wire.cut()
        await asyncio.gather(*(wire.closed() for wire in wires))
        await self._server.wait_closed()

    def cut(self, share: float) -> None:
        """Reset them: both ends are told."""
        for wire in self._strike(CUT, share):
            wire.cut()

    def half_open(self, share: float, for_s: float) -> None:
        """Nothing passes for so long, and neither end is told; then what was sent meanwhile arrives, ends too."""
        for wire in self._strike(HALF_OPEN, share):
            wire.half_open(for_s)

    def slow(self, share: float, for_s: float, delay_s: float) -> None:
        """For so long, whatever passes arrives `delay_s` late, in order."""
        for wire in self._strike(SLOW, share):
            wire.slow(for_s, delay_s)

    def refuse(self, for_s: float) -> None:
        """New connections are reset for so long; those that are open go on."""
        self.faults[REFUSE] += 1
        self._refusing_until_s = max(self._refusing_until_s, asyncio.get_running_loop().time() + for_s)

    def _strike(self, kind: str, share: float) -> "list[_Wire]":
        self.faults[kind] += 1
        wires = self._rng.sample(list(self._wires), math.ceil(share * len(self._wires)))
        self.struck[kind] += len(wires)
        return wires

    def _accept(self) -> "_End":
        refused = asyncio.get_running_loop().time() < self._refusing_until_s
        if refused:
            self.struck[REFUSE] += 1
        wire = _Wire(self._target, refused, self._wires)
        return wire.near


class _Wire:
    """One connection: the dispenser's end, `near`, and the broker's."""

    def __init__(self, target: tuple[str, int], refused: bool, wires: "dict[_Wire, None]") -> None:
        self.near, self.far = _End(self), _End(self)
        self.near.peer, self.far.peer = self.far, self.near
        self.delay_s = 0.0
        self._target = target
        self._refused = refused
        self._wires = wires
        self._connecting: asyncio.Task[None] | None = None
        self._slow_number = 0  # the latest order decides how long

    def made(self, end: "_End") -> None:
        if end is not self.near:
            return
        if self._refused:
            end.reset()
            return
        self._wires[self] = None
        end.stop(_CONNECTING)
        self._connecting = asyncio.create_task(self._connect())

    def lost(self, end: "_End", error: Exception | None) -> None:
        self._wires.pop(self, None)
        if self._connecting is not None:
            self._connecting.cancel()
        if error is None:
            end.peer.close()
        else:
            end.peer.reset()

    def cut(self) -> None:
        self._wires.pop(self, None)
        self.near.reset()
        self.far.reset()

    def half_open(self, for_s: float) -> None:
        for end in (self.near, self.far):
            end.stop(HALF_OPEN)
            asyncio.get_running_loop().call_later(for_s, end.go, HALF_OPEN)

    def slow(self, for_s: float, delay_s: float) -> None:
        self.delay_s = delay_s
        self._slow_number += 1
        asyncio.get_running_loop().call_later(for_s, self._quick, self._slow_number)

    async def closed(self) -> None:
        """Returns when both ends are gone."""
        if self._connecting is not None:
            await asyncio.wait([self._connecting])
        for end in (self.near, self.far):
            if end.transport is not None:
                await end.is_lost.wait()

    def _quick(self, number: int) -> None:
        if number == self._slow_number:
            self.delay_s = 0.0

    async def _connect(self) -> None:
        try:
            await asyncio.get_running_loop().create_connection(lambda: self.far, *self._target)
        except OSError:
            self.near.reset()
        else:
            self.near.go(_CONNECTING)


class _End(asyncio.Protocol):
    """One end. What is read from it goes to its peer; it is not read while anything stands in `_stopped`."""

    peer: "_End"

    def __init__(self, wire: _Wire) -> None:
        self.transport: asyncio.Transport | None = None
        self.is_lost = asyncio.Event()
        self._wire = wire
        self._stopped: Counter[str] = Counter()
        self._held = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        if self._stopped:
            transport.pause_reading()
        self._wire.made(self)

    def data_received(self, data: bytes) -> None:
        self._held += data
        if self._wire.delay_s:
            self.stop(SLOW)
            asyncio.get_running_loop().call_later(self._wire.delay_s, self.go, SLOW)
        elif not self._stopped.total():
            # Else it waits for `go`: Python 3.11.2, Debian's, reads on after a pause in `connection_made`.
            self._pass_on()

    def connection_lost(self, error: Exception | None) -> None:
        self.is_lost.set()
        self._wire.lost(self, error)

    def pause_writing(self) -> None:
        self.peer.stop(_FULL)

    def resume_writing(self) -> None:
        self.peer.go(_FULL)

    def stop(self, why: str) -> None:
        """Read no more until `go` was called as often for every reason."""
        self._stopped[why] += 1
        if self.transport is not None and not self.transport.is_closing():
            self.transport.pause_reading()

    def go(self, why: str) -> None:
        self._stopped[why] -= 1
        if self._stopped.total() or self.transport is None or self.transport.is_closing():
            return
        self._pass_on()
        self.transport.resume_reading()

    def close(self) -> None:
        """In good order: what was passed on arrives first."""
        if self.transport is not None:
            self.transport.close()

    def reset(self) -> None:
        if self.transport is not None and not self.transport.is_closing():
            made: socket.socket = self.transport.get_extra_info("socket")
            made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self.transport.abort()

    def _pass_on(self) -> None:
        held, self._held = self._held, b""
        if held and self.peer.transport is not None:
            self.peer.transport.write(held)
