"""What a broker keeps of a client: its filters, and the QoS 1 messages that it has not acknowledged."""

from functools import lru_cache
from typing import NamedTuple

from protocol import access


@lru_cache(4096)
def _any_covers(filters: tuple[str, ...], topic: str) -> bool:
    return any(access.covers(one, topic) for one in filters)


class Message(NamedTuple):
    """A message on its way to one client. `number` is the session's own, and the packet id of QoS 1."""

    topic: str
    payload: bytes
    qos: int
    retained: bool
    number: int
    repeated: bool = False


class Session:
    """One client's. `lasting`: it outlives its connections, so what is unacknowledged is sent again."""

    def __init__(self, client: str, lasting: bool) -> None:
        self.client = client
        self.lasting = lasting
        self.filters: tuple[str, ...] = ()
        self.unacked: dict[int, Message] = {}
        self._last = 0

    def wants(self, topic: str) -> bool:
        return _any_covers(self.filters, topic)

    def take(self, topic: str, payload: bytes, qos: int, retained: bool) -> Message:
        """The message for this client. At QoS 1 it is kept until `acked`."""
        self._last = self._last % 0xFFFF + 1
        message = Message(topic, payload, qos, retained, self._last)
        if qos:
            self.unacked[message.number] = message
        return message

    def acked(self, number: int) -> None:
        self.unacked.pop(number, None)

    def copy(self) -> "Session":
        """As the disk has it."""
        twin = Session(self.client, self.lasting)
        twin.filters, twin.unacked, twin._last = self.filters, dict(self.unacked), self._last
        return twin
