"""The embedded broker without its sockets: sessions, subscriptions, retained messages, last wills. No I/O.

Every call is one event that came from a client; what has to be sent goes to the outlets of the sessions. The caller has
checked who the client is before the engine hears of it.
"""

from collections.abc import Callable, Iterable

from broker.limits import Counters, Limits
from broker.matching import Subscriptions, TopicTree
from broker.packets import NOT_AUTHORISED, REFUSED, Connect, connack, suback, unsuback
from broker.session import Message, Outlet, Session
from protocol import access, topics

# Topics whose receivers are remembered until the next change of a subscription: those of 1,000 dispensers.
_REMEMBERED = 50_000

_DEVICE_LEVEL = topics.ROOT.count("/") + 1

RetainedChanged = Callable[[str, bytes, int], None]
"""Told of each change: topic, payload (empty: it was cleared), QoS."""


class Engine:
    """Takes the clients' packets, in order, and writes the answers and deliveries to their outlets."""

    def __init__(
        self,
        limits: Limits,
        retained: Iterable[tuple[str, bytes, int]] = (),
        retained_changed: RetainedChanged = lambda _topic, _payload, _qos: None,
    ) -> None:
        self.counters = Counters()
        self._limits = limits
        self._retained_changed = retained_changed
        self._sessions: dict[str, Session] = {}
        self._subscriptions: Subscriptions[Session] = Subscriptions()
        self._receivers: dict[str, tuple[tuple[Session, int], ...]] = {}
        self._retained: TopicTree[Message] = TopicTree()
        self._retained_of: dict[str, int] = {}
        for topic, payload, qos in retained:
            self._keep(topic, payload, qos)

    @property
    def retained_count(self) -> int:
        """How many topics have a retained message."""
        return len(self._retained)

    def session(self, user: str) -> Session | None:
        """The session of an account, connected or not."""
        return self._sessions.get(user)

    def attach(self, user: str, connect: Connect, outlet: Outlet) -> Session | None:
        """A client proved that it is `user`: answer, take over an older connection, go on with the session.

        The account name is the session's, whatever client id was sent. None when the account may do nothing at all, or
        when its last will is for a topic it may not publish to; the refusal is then written.
        """
        old = self._sessions.get(user)
        fresh = Session(user, connect.clean, self._limits, self.counters)
        if access.role_of(user) is None or (connect.will is not None and not fresh.may_publish(connect.will.topic)):
            self.counters.refused_connects += 1
            outlet.write(connack(NOT_AUTHORISED))
            return None
        if old is not None and old.outlet is not None:
            self.counters.takeovers += 1
            previous = old.outlet
            self._leave(old, publish_will=True)
            previous.close("the same account connected again")
            old = self._sessions.get(user)
        if old is not None and (connect.clean or old.clean):
            self._forget(old)
            old = None
        session = old or fresh
        self._sessions[user] = session
        session.outlet = outlet
        session.will = connect.will
        self.counters.connects += 1
        outlet.write(connack(0, session_present=old is not None))
        session.resume()
        return session

    def detach(self, session: Session, outlet: Outlet, publish_will: bool) -> None:
        """The connection ended. Nothing happens when another one has taken the session over."""
        if session.outlet is outlet:
            self._leave(session, publish_will)

    def publish(self, session: Session, topic: str, payload: bytes, qos: int, retain: bool) -> None:
        """Deliver to everyone who asked. What the account may not publish is dropped and counted."""
        if not session.may_publish(topic):
            self.counters.forbidden_publishes += 1
            return
        self.counters.received += 1
        if retain:
            self._retain(topic, payload, qos)
        receivers = self._receivers.get(topic)
        if receivers is None:
            if len(self._receivers) >= _REMEMBERED:
                self._receivers.clear()
            receivers = self._receivers[topic] = tuple(self._subscriptions.match(topic).items())
        if receivers:
            message = Message(topic, payload, qos)
            for receiver, granted in receivers:
                receiver.deliver(message, min(qos, granted))

    def subscribe(self, session: Session, packet_id: int, requests: list[tuple[str, int]]) -> None:
        """Answer, then replay the retained messages of each filter that was granted. QoS 2 is granted as 1."""
        codes = []
        for wanted, qos in requests:
            known = wanted in session.subscriptions
            if not session.may_subscribe(wanted) or (
                not known and len(session.subscriptions) >= self._limits.subscriptions
            ):
                self.counters.forbidden_subscriptions += 1
                codes.append(REFUSED)
                continue
            granted = min(qos, 1)
            session.subscriptions[wanted] = granted
            self._subscriptions.add(wanted, session, granted)
            codes.append(granted)
        self._receivers.clear()
        if session.outlet is not None:
            session.outlet.write(suback(packet_id, codes))
        for (wanted, _), code in zip(requests, codes, strict=True):
            if code != REFUSED:
                for message in self._retained.match(wanted):
                    session.deliver(message, min(message.qos, code))

    def unsubscribe(self, session: Session, packet_id: int, filters: list[str]) -> None:
        """Answer; a filter that was not there is no error."""
        for unwanted in filters:
            if session.subscriptions.pop(unwanted, None) is not None:
                self._subscriptions.remove(unwanted, session)
        self._receivers.clear()
        if session.outlet is not None:
            session.outlet.write(unsuback(packet_id))

    def _leave(self, session: Session, publish_will: bool) -> None:
        will = session.will if publish_will else None
        session.will = None
        session.leave()
        if session.clean:
            self._forget(session)
        if will is not None:
            self.counters.wills += 1
            self.publish(session, will.topic, will.payload, will.qos, will.retain)

    def _forget(self, session: Session) -> None:
        for held in session.subscriptions:
            self._subscriptions.remove(held, session)
        self._receivers.clear()
        if self._sessions.get(session.user) is session:
            del self._sessions[session.user]

    def _retain(self, topic: str, payload: bytes, qos: int) -> None:
        if self._keep(topic, payload, qos):
            self._retained_changed(topic, payload, qos)

    def _keep(self, topic: str, payload: bytes, qos: int) -> bool:
        """Whether something changed; a bound that is reached refuses a new topic, never the next value of an old."""
        owner = _owner(topic)
        if not payload:
            if not self._retained.remove(topic):
                return False
            self._retained_of[owner] -= 1
            if not self._retained_of[owner]:
                del self._retained_of[owner]
            return True
        if self._retained.get(topic) is None:
            count = self._retained_of.get(owner, 0)
            if count >= self._limits.retained_per_device or len(self._retained) >= self._limits.retained:
                self.counters.dropped_retained_full += 1
                return False
            self._retained_of[owner] = count + 1
        self._retained.set(topic, Message(topic, payload, qos, retained=True))
        return True


def _owner(topic: str) -> str:
    """The topics of one dispenser share a bound, so that none can use up the others' share."""
    return "/".join(topic.split("/")[: _DEVICE_LEVEL + 1])
