"""The broker's side of one connection: real bytes, retained messages and last wills."""

from collections.abc import Callable

from protocol import codec, topics
from protocol.fields import Record

DEVICE = "bench-1"


class Sent:
    """A message that the broker took from the dispenser."""

    def __init__(self, topic: str, channel: str, record: Record, qos: int, retained: bool) -> None:
        self.topic = topic
        self.channel = channel
        self.record = record
        self.qos = qos
        self.retained = retained


class FakeBroker:
    """The broker's side of one connection at a time: real bytes, retained messages and last wills, no access rules."""

    def __init__(self, on_message: "Callable[[Sent], None] | None" = None) -> None:
        self.code = 0
        self.acknowledges = True
        self.is_deaf = False
        self.sent: list[Sent] = []
        self.retained: dict[str, bytes] = {}
        self.acknowledged: list[int] = []
        self.will: tuple[str, bytes] | None = None
        self.listening = False
        self.on_message = on_message
        self.pings = 0
        self.connects = 0
        self._buffer = b""
        self._next_id = 0

    def opened(self) -> None:
        self._buffer = b""
        self.listening = False
        self.will = None

    def dropped(self) -> None:
        """The stream is gone without DISCONNECT: the last will goes out."""
        if self.will is not None:
            topic, payload = self.will
            self._take(topic, payload, 1, True)
        self.will = None
        self.listening = False

    def message(self, topic: str, payload: bytes, retained: bool = False) -> bytes:
        """A PUBLISH at QoS 1 to the dispenser."""
        self._next_id = self._next_id % 0xFFFF + 1
        head = len(topic).to_bytes(2, "big") + topic.encode() + self._next_id.to_bytes(2, "big")
        return _frame(0x33 if retained else 0x32, head + payload)

    def feed(self, data: bytes) -> bytes:
        """Bytes from the dispenser; returns the bytes for it. Deaf: the stream is half open, nothing comes through."""
        if self.is_deaf:
            return b""
        self._buffer += data
        answer = b""
        while (packet := self._packet()) is not None:
            answer += self._handle(*packet)
        return answer

    def _packet(self) -> tuple[int, bytes] | None:
        size = shift = 0
        for position, byte in enumerate(self._buffer[1:5], 1):
            size |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                end = position + 1 + size
                if len(self._buffer) < end:
                    return None
                first, body = self._buffer[0], self._buffer[position + 1 : end]
                self._buffer = self._buffer[end:]
                return first, body
        return None

    def _handle(self, first: int, body: bytes) -> bytes:
        kind = first >> 4
        if kind == 1:
            self.connects += 1
            assert body[:8] == b"\x00\x04MQTT\x04\xee", body[:8]
            texts = _texts(body[10:])
            assert texts[0] == texts[3] == DEVICE.encode()
            self.will = (texts[1].decode(), texts[2])
            return bytes([0x20, 2, 0, self.code])
        if kind == 8:
            self.listening = True
            filters = _filters(body[2:])
            answer = _frame(0x90, body[:2] + bytes([1] * len(filters)))
            for topic, payload in self.retained.items():
                if topic in filters:
                    answer += self.message(topic, payload, retained=True)
            return answer
        if kind == 3:
            size = int.from_bytes(body[:2], "big")
            topic = body[2 : 2 + size].decode()
            qos = (first >> 1) & 3
            payload = body[2 + size + (2 if qos else 0) :]
            self._take(topic, payload, qos, bool(first & 1))
            if qos and self.acknowledges:
                return b"\x40\x02" + body[2 + size : 4 + size]
        elif kind == 4:
            self.acknowledged.append(int.from_bytes(body, "big"))
        elif kind == 12:
            self.pings += 1
            return b"\xd0\x00"
        elif kind == 14:
            self.will = None
        return b""

    def _take(self, topic: str, payload: bytes, qos: int, retained: bool) -> None:
        device, channel, _flask = topics.parse(topic)
        assert device == DEVICE
        message = Sent(topic, channel.name, codec.decode(channel.record, payload), qos, retained)
        assert (qos, retained) == (channel.qos, channel.retained)
        self.sent.append(message)
        if retained:
            self.retained[topic] = payload
        if self.on_message is not None:
            self.on_message(message)


def _frame(first: int, body: bytes) -> bytes:
    size = len(body)
    head = [first]
    while size >= 0x80:
        head.append(size & 0x7F | 0x80)
        size >>= 7
    head.append(size)
    return bytes(head) + body


def _texts(body: bytes) -> list[bytes]:
    found = []
    while body:
        size = int.from_bytes(body[:2], "big")
        found.append(body[2 : 2 + size])
        body = body[2 + size :]
    return found


def _filters(body: bytes) -> list[str]:
    found = []
    while body:
        size = int.from_bytes(body[:2], "big")
        assert body[2 + size] == 1
        found.append(body[2 : 2 + size].decode())
        body = body[3 + size :]
    return found
