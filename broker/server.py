"""The embedded broker: the engine behind a TCP (or TLS) listener, with its retained messages on disk."""

import asyncio
import resource
import ssl
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from broker.connection import Authenticate, Connection
from broker.engine import Engine
from broker.limits import Counters, Limits
from broker.store import RetainedStore

# Connections that wait to be accepted: a fleet that reconnects all at once.
_BACKLOG = 1_024

# Files that the rest of the process needs beside the connections (database, log, dashboard, its clients).
_OTHER_FILES = 512

# Seconds for a TLS handshake, and for a client to answer the end of TLS.
_TLS_S = 10.0


class BrokerNotStarted(Exception):
    """The embedded broker cannot listen."""


class EmbeddedBroker:
    """An MQTT 3.1.1 broker in this process, QoS 0 and 1, with the access rules of `protocol.access`.

    `authenticate(user, password)` says whether a client is who it claims to be. `store_path` is where retained
    messages are kept (None: only in memory). Listens on loopback unless told otherwise; `port` 0 takes a free one.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        authenticate: Authenticate,
        store_path: Path | None = None,
        limits: Limits | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.host = host
        self._asked_port = port
        self._authenticate = authenticate
        self._store_path = store_path
        self._limits = limits or Limits()
        self._tls = tls
        self._engine: Engine | None = None
        self._store: RetainedStore | None = None
        self._server: asyncio.Server | None = None
        self._connections: set[Connection] = set()

    @property
    def port(self) -> int:
        """The port it listens on."""
        if self._server is None:
            raise BrokerNotStarted("The embedded broker has no port before it is started.")
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    @property
    def counters(self) -> Counters:
        """What it did since it was started."""
        return self._engine.counters if self._engine else Counters()

    @property
    def retained_count(self) -> int:
        """How many topics have a retained message."""
        return self._engine.retained_count if self._engine else 0

    async def start(self) -> None:
        """Read the retained messages and listen. Raises `BrokerNotStarted` or `StoreBroken`."""
        if self._server is not None:
            raise BrokerNotStarted("The embedded broker is running already.")
        _allow_open_files(self._limits.connections + _OTHER_FILES)
        if self._store_path is not None:
            self._store = RetainedStore(self._store_path)
            retained = await asyncio.to_thread(self._store.load)
            self._engine = Engine(self._limits, retained, self._store.changed)
        else:
            self._engine = Engine(self._limits)
        engine = self._engine
        try:
            self._server = await asyncio.get_running_loop().create_server(
                lambda: Connection(engine, self._authenticate, self._limits, self._connections),
                self.host,
                self._asked_port,
                backlog=_BACKLOG,
                ssl=self._tls,
                ssl_handshake_timeout=_TLS_S if self._tls else None,
                ssl_shutdown_timeout=_TLS_S if self._tls else None,
            )
        except OSError as error:
            raise BrokerNotStarted(
                f"Cannot listen on {self.host} port {self._asked_port} ({error.strerror or error}). Stop what uses it, "
                "or choose another port."
            ) from error
        if self._store is not None:
            self._store.start()

    async def stop(self) -> None:
        """End every connection (last wills are kept as retained messages), then write what is left to disk."""
        if self._server is None:
            return
        self._server.close()
        for connection in list(self._connections):
            connection.close("the broker stops")
        self._server = None
        if self._store is not None:
            await self._store.stop()
            self._store = None

    async def __aenter__(self) -> "EmbeddedBroker":
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()


def _allow_open_files(wanted: int) -> None:
    """Many systems give a process 1,024 open files unless it asks for more, which it may up to the hard limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    with suppress(ValueError, OSError):  # then fewer clients fit, and the rest is refused by the kernel
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard) if hard >= 0 else wanted, hard))
