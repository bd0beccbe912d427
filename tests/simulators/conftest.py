"""A peer that speaks no MQTT, a core that follows a script, and a real Mosquitto."""

import asyncio
import random
import selectors
import socket
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator, Sequence

import pytest

from firmware.core.ports import Port
from simulators.board import Board
from simulators.events import Event
from simulators.faults import FaultPlan, FixedFaults, Strikes
from simulators.flash import Flash
from simulators.flask import Flask, FlaskSpec
from simulators.hardware import Hardware
from simulators.truth import Truth
from simulators.wifi import Network
from tests.programs import need

DEADLINE_S = 10
CONNACK = b"\x20\x02\x00\x00"

Reaction = Callable[[Port], Sequence[Port]]


class Signal:
    """Waits for a condition that is looked at again whenever something happened."""

    def __init__(self) -> None:
        self._changed = asyncio.Event()

    def happened(self) -> None:
        self._changed.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while not condition():
                self._changed.clear()
                await self._changed.wait()


class Stream(asyncio.Protocol):
    """One accepted stream: what came, and whether it ended."""

    def __init__(self, peer: "Peer") -> None:
        self.peer = peer
        self.received = b""
        self.ended = False
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.peer.streams.append(self)
        transport.write(self.peer.greeting)
        self.peer.signal.happened()

    def data_received(self, data: bytes) -> None:
        self.received += data
        self.peer.signal.happened()

    def connection_lost(self, error: Exception | None) -> None:
        self.ended = True
        self.peer.signal.happened()

    def write(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(data)

    def close(self) -> None:
        assert self.transport is not None
        self.transport.close()


class Peer:
    """Where the streams go."""

    def __init__(self, signal: Signal) -> None:
        self.signal = signal
        self.streams: list[Stream] = []
        self.greeting = CONNACK
        self.network = Network("127.0.0.1", 0)


class Script:
    """A core for the adapter's tests: notes every fact, and answers with what `react` says."""

    def __init__(self, react: Reaction, signal: Signal, wake_at_ms: int | None = None) -> None:
        self.react = react
        self.signal = signal
        self.wake_at_ms = wake_at_ms
        self.facts: list[Port] = []
        self.times_ms: list[int] = []

    def step(self, now_ms: int, fact: Port) -> tuple[Sequence[Port], int | None]:
        self.facts.append(fact)
        self.times_ms.append(now_ms)
        self.signal.happened()
        wake_at_ms, self.wake_at_ms = self.wake_at_ms, None
        return self.react(fact), wake_at_ms

    def heard(self, fact: Port) -> bool:
        return fact in self.facts

    def kinds(self) -> list[type[Port]]:
        return [type(fact) for fact in self.facts]


class Bench:
    """A board on the bench: a scripted core, one peer, and everything that the board tells."""

    def __init__(self, signal: Signal, peer: Peer) -> None:
        self.signal = signal
        self.peer = peer
        self.events: list[Event] = []
        self.truth = Truth()
        self.flash = Flash()
        self.flask = Flask(FlaskSpec(1, 1_000_000, 1000))
        self.cores: list[Script] = []
        self.board: Board | None = None
        self.on_event: Callable[[Event], None] = lambda _event: None

    def power_on(self, react: Reaction, plan: FaultPlan | None = None, wake_at_ms: int | None = None) -> Board:
        """`react` and `wake_at_ms` serve every boot; only the first fact of each asks to be woken."""

        def make_core() -> Script:
            self.cores.append(Script(react, self.signal, wake_at_ms))
            return self.cores[-1]

        hardware = Hardware({1: self.flask}, self.flash, Strikes(plan or FixedFaults()), random.Random(1))
        self.board = Board("disp-1", make_core, hardware, self.peer.network, self._tell, self.truth.record)
        self.board.boot()
        return self.board

    @property
    def core(self) -> Script:
        return self.cores[-1]

    def told(self, kind: str) -> list[str]:
        return [event.text for event in self.events if event.kind == kind]

    async def until(self, condition: Callable[[], bool]) -> None:
        await self.signal.until(condition)

    def _tell(self, event: Event) -> None:
        self.events.append(event)
        self.on_event(event)
        self.signal.happened()


class VirtualClock(selectors.DefaultSelector):
    """Where a loop would wait, time passes at once."""

    now_s = 0.1

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.now_s += timeout or 0
        return super().select(0)


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    peer = Peer(Signal())
    server = await asyncio.get_running_loop().create_server(lambda: Stream(peer), "127.0.0.1", 0)
    peer.network = Network("127.0.0.1", server.sockets[0].getsockname()[1])
    yield peer
    for stream in peer.streams:
        if stream.transport is not None:
            stream.transport.abort()
    server.close()
    await server.wait_closed()
    await peer.signal.until(lambda: all(stream.ended for stream in peer.streams))


@pytest.fixture
async def bench(peer: Peer) -> AsyncIterator[Bench]:
    bench = Bench(peer.signal, peer)
    yield bench
    if bench.board is not None:
        await bench.board.stop()


@pytest.fixture(scope="session")
def mosquitto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a real Mosquitto that lets everybody in."""
    directory = tmp_path_factory.mktemp("mosquitto")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    config = directory / "mosquitto.conf"
    # It logs its start and no connections: nobody reads on, and a full pipe would stop it.
    config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\nlog_type information\n")
    process = subprocess.Popen(
        [need("mosquitto"), "-c", config], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout is not None
    for line in process.stdout:
        if "running" in line:
            break
    else:
        raise RuntimeError(f"mosquitto did not start on port {port}")
    yield port
    process.terminate()
    process.communicate(timeout=10)
