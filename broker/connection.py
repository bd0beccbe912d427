"""One client's TCP connection: who is it, is it still there, does it keep up.

Packets go to the engine, bytes come back.

Nothing of a session is touched before the client has proved who it is.
"""

import asyncio
import logging
import socket
from collections.abc import Callable

from broker import packets
from broker.engine import Engine
from broker.limits import Limits
from broker.packets import Connect, WrongVersion
from broker.session import Session
from protocol.packets import PUBACK, PUBLISH, TYPE, Framer, Malformed, TooLarge, parse_puback, parse_publish, puback

_log = logging.getLogger(__name__)

Authenticate = Callable[[str, bytes], bool]
"""Whether this is the password of this account. Called in the event loop, so it has to be fast."""


class Connection(asyncio.Protocol):
    """Made for each accepted socket; also the outlet through which its session is served."""

    def __init__(
        self, engine: Engine, authenticate: Authenticate, limits: Limits, connections: "set[Connection]"
    ) -> None:
        self._engine = engine
        self._authenticate = authenticate
        self._limits = limits
        self._connections = connections
        self._loop = asyncio.get_running_loop()
        self._framer = Framer(limits.packet_bytes)
        self._session: Session | None = None
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._silence_s = 0.0
        self._heard_at = 0.0
        self._unsent: list[bytes] = []
        self._unsent_bytes = 0
        self._paused = False
        self._publish_will = True

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        counters = self._engine.counters
        if len(self._connections) >= self._limits.connections:
            counters.connections_over_limit += 1
            transport.abort()
            return
        self._transport = transport
        self._connections.add(self)
        counters.connections = len(self._connections)
        transport.set_write_buffer_limits(high=self._limits.unsent_bytes)
        sock = transport.get_extra_info("socket")
        # A client may ask for no keepalive; the kernel then finds out that its machine is gone.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._timer = self._loop.call_later(self._limits.connect_timeout_s, self._no_connect)

    def data_received(self, data: bytes) -> None:
        try:
            for first, body in self._framer.feed(data):
                if self._transport is None:
                    return
                self._packet(first, body)
            if self._session is None and self._framer.incomplete not in (None, packets.CONNECT):
                raise Malformed("the first packet is not a CONNECT")
        except Malformed as error:
            if isinstance(error, TooLarge):
                self._engine.counters.oversized += 1
            else:
                self._engine.counters.malformed += 1
            self.close(str(error))

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        if self._session is not None:
            self._session.pump()
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(str(exc) if exc else "the client closed the connection")

    # What the session calls.

    @property
    def full(self) -> bool:
        """Whether the client has more unsent bytes than it should."""
        return self._paused or self._unsent_bytes > self._limits.unsent_bytes

    def write(self, data: bytes) -> None:
        """Send at the end of this turn of the event loop, together with everything else that came up in it."""
        if not self._unsent:
            self._loop.call_soon(self._flush)
        self._unsent.append(data)
        self._unsent_bytes += len(data)

    def close(self, why: str) -> None:
        """End the connection after what was written; the last will is published unless a DISCONNECT came first."""
        transport = self._transport
        if transport is None:
            return
        self._flush()
        self._end(why)
        transport.close()
        # A client that does not read what is left must not keep the socket open.
        if transport.get_write_buffer_size():
            self._loop.call_later(self._limits.connect_timeout_s, transport.abort)

    # One packet.

    def _packet(self, first: int, body: bytes) -> None:
        session = self._session
        if session is None:
            if first != packets.CONNECT:
                raise Malformed("the first packet is not a CONNECT")
            self._connect(body)
            return
        self._heard_at = self._loop.time()
        if first & TYPE == PUBLISH:
            topic, payload, qos, retain, packet_id = parse_publish(first, body)
            self._engine.publish(session, topic, payload, qos, retain)
            if qos:
                self.write(puback(packet_id))
        elif first == PUBACK:
            session.acknowledge(parse_puback(body))
        elif first == packets.PINGREQ and not body:
            self.write(packets.PINGRESP)
        elif first == packets.SUBSCRIBE:
            self._engine.subscribe(session, *packets.parse_subscribe(body))
        elif first == packets.UNSUBSCRIBE:
            self._engine.unsubscribe(session, *packets.parse_unsubscribe(body))
        elif first == packets.DISCONNECT and not body:
            self._publish_will = False
            self.close("the client said goodbye")
        else:
            raise Malformed(f"a client may not send a packet that starts with 0x{first:02x} here")

    def _connect(self, body: bytes) -> None:
        try:
            connect = packets.parse_connect(body)
        except WrongVersion:
            self._refuse(packets.BAD_PROTOCOL)
            return
        try:
            is_known = connect.user is not None and self._authenticate(connect.user, connect.password)
        except Exception as error:  # whatever the store of accounts raises while it is away
            _log.warning("The accounts cannot be read (%s): a client is told to come back later.", error)
            self._refuse(packets.UNAVAILABLE)
            return
        if connect.user is None or not is_known:
            self._refuse(packets.BAD_CREDENTIALS)
        elif not connect.client_id and not connect.clean:
            self._refuse(packets.BAD_CLIENT_ID)  # the standard asks for it, though the name is not used
        else:
            self._attach(connect.user, connect)

    def _attach(self, user: str, connect: Connect) -> None:
        self._session = self._engine.attach(user, connect, self)
        if self._session is None:
            self.close("the account or its last will is not allowed here")
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._heard_at = self._loop.time()
        if connect.keepalive_s:
            self._silence_s = connect.keepalive_s * 1.5
            self._timer = self._loop.call_at(self._heard_at + self._silence_s, self._watch_silence)

    def _refuse(self, code: int) -> None:
        self._engine.counters.refused_connects += 1
        self.write(packets.connack(code))
        self.close(f"CONNECT refused with code {code}")

    # Timers and the end.

    def _no_connect(self) -> None:
        self._engine.counters.connect_timeouts += 1
        self.close("no complete CONNECT in time")

    def _watch_silence(self) -> None:
        until = self._heard_at + self._silence_s
        if self._loop.time() < until:
            self._timer = self._loop.call_at(until, self._watch_silence)
            return
        self._engine.counters.keepalive_timeouts += 1
        transport = self._transport
        self._end("silent for longer than its keepalive times 1.5")
        if transport is not None:
            transport.abort()

    def _flush(self) -> None:
        if self._unsent and self._transport is not None:
            data = b"".join(self._unsent)
            self._unsent.clear()
            self._unsent_bytes = 0
            self._transport.write(data)
            # Deliveries stop when a client is slow, so what still grows are answers to its own packets: a client that
            # does not read them is not read either. (A slow one alone is: its pings and acknowledgements count.)
            if self._transport.get_write_buffer_size() > 2 * self._limits.unsent_bytes:
                self._transport.pause_reading()
        if self._session is not None and not self._paused:
            self._session.pump()

    def _end(self, why: str) -> None:
        """Once: leave the engine. Safe to call from any state."""
        if self._transport is None:
            return
        self._transport = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._connections.discard(self)
        self._engine.counters.connections = len(self._connections)
        session, self._session = self._session, None
        if session is not None:
            _log.debug("%s disconnected: %s", session.user, why)
            self._engine.detach(session, self, self._publish_will)
        else:
            _log.debug("a connection ended before it was signed in: %s", why)
