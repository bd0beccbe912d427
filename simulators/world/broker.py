"""A broker as the real ones were measured to be, its bad days included.

QoS 0 and 1, retained messages, last wills, lasting and clean sessions, takeover by client id. A crash forgets what was
acknowledged since it last wrote to disk: queue, retained messages, sessions. A last will may come late, after a newer
birth. A subscription replays retained messages. Messages of one topic keep their order, those of different topics need
not. Access rules are not its business here: the contract tests of the real brokers have them.
"""

import random
from collections.abc import Callable, Sequence
from typing import Protocol

from simulators.world.loop import VirtualLoop
from simulators.world.sessions import Message, Session
from simulators.world.trace import Trace

# As `autosave_interval` of the Mosquitto that the product configures.
AUTOSAVE_S = 5.0


class Client(Protocol):
    """One connection, as the broker uses it."""

    session: Session

    def deliver(self, message: Message) -> None:
        """Send a message; the connection has the network's latency."""

    def ended(self) -> None:
        """The broker closed the connection."""


class Broker:
    """Holds the sessions of its clients. `up` False: it refuses new ones. `life` counts its starts and ends."""

    def __init__(self, loop: VirtualLoop, rng: random.Random, trace: Trace) -> None:
        self.up = True
        self.retained: dict[str, bytes] = {}
        self.late_wills_s: list[float] = []
        self.on_route: Callable[[str, bytes, bool], None] = lambda _topic, _payload, _retained: None
        self._loop = loop
        self._rng = rng
        self._trace = trace
        self._sessions: dict[str, Session] = {}
        self._clients: dict[str, Client] = {}
        self._wills: dict[str, tuple[str, bytes]] = {}
        self._disk: tuple[dict[str, bytes], dict[str, Session]] = ({}, {})
        self.life = 0
        self._loop.call_later(AUTOSAVE_S, self._autosave, self.life)

    # Connections.

    def connect(self, client: Client, name: str, lasting: bool, will: tuple[str, bytes] | None = None) -> Session:
        """Sign a client in. The one that had its name is thrown out, and its last will published."""
        self.disconnect(name, None)
        kept = self._sessions.get(name)
        session = kept if lasting and kept is not None else Session(name, lasting)
        self._sessions[name] = session
        self._clients[name] = client
        if will is not None:
            self._wills[name] = will
        return session

    def resume(self, client: Client) -> None:
        """Send a lasting session what it has not acknowledged, once its client is ready for it."""
        session = client.session
        for number, message in list(session.unacked.items()):
            again = session.unacked[number] = message._replace(repeated=True)
            client.deliver(again)

    def disconnect(self, name: str, client: Client | None, clean: bool = False) -> None:
        """The connection of `name` is gone (if `client` is given: only if it is that one)."""
        present = self._clients.get(name)
        if present is None or (client is not None and present is not client):
            return
        del self._clients[name]
        if not present.session.lasting:
            del self._sessions[name]
        will = self._wills.pop(name, None)
        if will is not None and not clean:
            late_s = self.late_wills_s.pop() if self.late_wills_s else 0.0
            self._trace.note("will", name, f"{late_s:.3f}")
            if late_s:
                self._loop.call_later(late_s, self._publish_will, will, self.life)
            else:
                self.publish(*will, 1, True)
        if client is None:
            present.ended()

    def subscribe(self, client: Client, filters: Sequence[str]) -> None:
        """Add to a session's filters; each time the retained messages come again."""
        session = client.session
        session.filters = (*[one for one in session.filters if one not in filters], *filters)
        asked = Session("", False)
        asked.filters = tuple(filters)
        replay = [(topic, payload) for topic, payload in self.retained.items() if asked.wants(topic)]
        for topic, payload in replay:
            client.deliver(session.take(topic, payload, 1, True))

    # Messages.

    def publish(self, topic: str, payload: bytes, qos: int, retained: bool) -> None:
        """Take a message and hand it to whoever wants it."""
        self._trace.note("publish", topic, payload)
        self.on_route(topic, payload, retained)
        if retained:
            if payload:
                self.retained[topic] = payload
            else:
                self.retained.pop(topic, None)
        for name, session in list(self._sessions.items()):
            if not session.wants(topic):
                continue
            client = self._clients.get(name)
            if client is not None:
                client.deliver(session.take(topic, payload, qos, False))
            elif qos:
                session.take(topic, payload, qos, False)

    # Bad days.

    def stop(self, crash: bool) -> None:
        """Every connection breaks. A crash leaves what the last autosave wrote, a good end leaves everything."""
        if not self.up:
            return
        self.up = False
        self.life += 1
        if not crash:
            self._save()
        clients, self._clients = self._clients, {}
        self._wills.clear()
        for client in clients.values():
            client.ended()

    def start(self) -> None:
        """It is back with what is on its disk."""
        if self.up:
            return
        self.up = True
        retained, sessions = self._disk
        self.retained = dict(retained)
        self._sessions = {name: session.copy() for name, session in sessions.items()}
        self._loop.call_later(AUTOSAVE_S, self._autosave, self.life)

    def repeat(self, name: str) -> int:
        """Send a client everything again that it has not acknowledged, while it is connected. Returns how much."""
        client = self._clients.get(name)
        if client is None:
            return 0
        for message in list(client.session.unacked.values()):
            client.deliver(message._replace(repeated=True))
        return len(client.session.unacked)

    def break_client(self, name: str) -> bool:
        """The broker closes one connection. False: there is none."""
        there = name in self._clients
        self.disconnect(name, None)
        return there

    def _publish_will(self, will: tuple[str, bytes], life: int) -> None:
        if life == self.life:
            self.publish(*will, 1, True)

    def _autosave(self, life: int) -> None:
        if life == self.life and self.up:
            self._save()
            self._loop.call_later(AUTOSAVE_S, self._autosave, life)

    def _save(self) -> None:
        lasting = {name: one.copy() for name, one in self._sessions.items() if one.lasting}
        self._disk = (dict(self.retained), lasting)
