"""MQTT 3.1.1 packets, the client's side: build what a dispenser sends, take apart what a broker sends.

Bytes come in any portions. A packet that breaks the standard, or is larger than any of ours can be, is a `BadPacket`
before its body is waited for: the only cure is a new connection.
"""

from protocol.limits import MAX_PAYLOAD_BYTES

# One payload, its topic (at most 60 bytes in this protocol) and its packet id, with room to spare.
MAX_BODY_BYTES = MAX_PAYLOAD_BYTES + 256

PINGREQ = b"\xc0\x00"
DISCONNECT = b"\xe0\x00"

_CONNACK = 2
_PUBLISH = 3
_PUBACK = 4
_SUBACK = 9
_PINGRESP = 13


class BadPacket(ValueError):
    """The broker sent bytes that are not MQTT 3.1.1, or not for us. The text says what is wrong with them."""


class Connack:
    """The answer to CONNECT: `code` 0 lets us in."""

    __slots__ = ("code", "session_present")

    def __init__(self, session_present: bool, code: int) -> None:
        self.session_present = session_present
        self.code = code


class Suback:
    """The answer to SUBSCRIBE: for each filter the granted QoS, or 128 where it was refused."""

    __slots__ = ("codes", "packet_id")

    def __init__(self, packet_id: int, codes: bytes) -> None:
        self.packet_id = packet_id
        self.codes = codes


class Publish:
    """A message for us. `packet_id` is 0 at QoS 0, where there is nothing to acknowledge."""

    __slots__ = ("packet_id", "payload", "topic")

    def __init__(self, topic: str, payload: bytes, packet_id: int) -> None:
        self.topic = topic
        self.payload = payload
        self.packet_id = packet_id


class Puback:
    """The broker has our QoS 1 message."""

    __slots__ = ("packet_id",)

    def __init__(self, packet_id: int) -> None:
        self.packet_id = packet_id


class Pingresp:
    """The broker is there."""

    __slots__ = ()


def connect(user: str, password: str, keepalive_s: int, will_topic: str, will: bytes) -> bytes:
    """CONNECT with a clean session; the user name is the client id too. The will is retained, QoS 1."""
    # Flags: user name, password, will retained, will QoS 1, will, clean session.
    head = _text("MQTT") + b"\x04" + bytes([0x80 | 0x40 | 0x20 | 0x08 | 0x04 | 0x02]) + _two(keepalive_s)
    return _packet(0x10, head + _text(user) + _text(will_topic) + _sized(will) + _text(user) + _text(password))


def subscribe(packet_id: int, filters: "tuple[str, ...]") -> bytes:
    """SUBSCRIBE to every filter at QoS 1."""
    return _packet(0x82, _two(packet_id) + b"".join([_text(one) + b"\x01" for one in filters]))


def publish(topic: str, payload: bytes, retained: bool, packet_id: int = 0) -> bytes:
    """PUBLISH at QoS 1, or at QoS 0 when `packet_id` is 0."""
    first = 0x30 | (0x02 if packet_id else 0) | (0x01 if retained else 0)
    return _packet(first, _text(topic) + (_two(packet_id) if packet_id else b"") + payload)


def puback(packet_id: int) -> bytes:
    """PUBACK of a message that came at QoS 1."""
    return _packet(0x40, _two(packet_id))


class Decoder:
    """Takes packets out of a stream of bytes. Holds at most one incomplete packet besides the last portion fed."""

    __slots__ = ("_at", "_buffer")

    def __init__(self) -> None:
        self._buffer = b""
        self._at = 0

    def feed(self, data: bytes) -> None:
        """Add the next bytes of the stream, however they were cut."""
        self._buffer = self._buffer[self._at :] + data
        self._at = 0

    def take(self) -> "Connack | Suback | Publish | Puback | Pingresp | None":
        """The next whole packet, or None until more bytes come. Raises `BadPacket`; what follows cannot be read."""
        header = self._header()
        if header is None:
            return None
        start, size = header
        end = start + size
        if len(self._buffer) < end:
            return None
        first = self._buffer[self._at]
        body = self._buffer[start:end]
        self._at = end
        if end == len(self._buffer):
            self._buffer = b""
            self._at = 0
        return _parse(first, body)

    def _header(self) -> "tuple[int, int] | None":
        """(where the body starts, its size), or None while the header is incomplete. Checks both before waiting."""
        buffer = self._buffer
        at = self._at
        if at >= len(buffer):
            return None
        kind = buffer[at] >> 4
        if kind not in (_CONNACK, _PUBLISH, _PUBACK, _SUBACK, _PINGRESP):
            raise BadPacket(f"packet type {kind}, which a broker never sends to a subscriber at QoS 1")
        size = 0
        for position in range(1, 5):
            if at + position >= len(buffer):
                return None
            byte = buffer[at + position]
            size |= (byte & 0x7F) << (7 * (position - 1))
            if size > MAX_BODY_BYTES:
                raise BadPacket(f"packet of {size} bytes or more, the limit is {MAX_BODY_BYTES}")
            if byte < 0x80:
                return at + position + 1, size
        raise BadPacket("the remaining length takes more than four bytes")


def _parse(first: int, body: bytes) -> "Connack | Suback | Publish | Puback | Pingresp":
    kind = first >> 4
    if kind == _PUBLISH:
        return _parse_publish(first & 0x0F, body)
    if first & 0x0F:
        raise BadPacket(f"reserved flags {first & 0x0F} are set in packet type {kind}")
    if kind == _CONNACK:
        if len(body) != 2 or body[0] > 1:
            raise BadPacket(f"malformed CONNACK of {len(body)} bytes")
        return Connack(body[0] == 1, body[1])
    if kind == _SUBACK:
        if len(body) < 3 or any([code not in (0, 1, 2, 128) for code in body[2:]]):
            raise BadPacket(f"malformed SUBACK of {len(body)} bytes")
        return Suback(_packet_id(body, 0), body[2:])
    if kind == _PUBACK:
        if len(body) != 2:
            raise BadPacket(f"malformed PUBACK of {len(body)} bytes")
        return Puback(_packet_id(body, 0))
    if body:
        raise BadPacket(f"malformed PINGRESP of {len(body)} bytes")
    return Pingresp()


def _parse_publish(flags: int, body: bytes) -> Publish:
    qos = (flags >> 1) & 0x03
    if qos > 1:
        raise BadPacket(f"PUBLISH at QoS {qos}, but the subscriptions are at QoS 1")
    if len(body) < 2:
        raise BadPacket("PUBLISH without a topic")
    end = 2 + (body[0] << 8 | body[1])
    if len(body) < end + (2 if qos else 0):
        raise BadPacket("PUBLISH shorter than its topic")
    try:
        topic = str(body[2:end], "utf-8")
    except ValueError:
        raise BadPacket("PUBLISH topic is not UTF-8")  # MicroPython has no `from`
    if not topic or "+" in topic or "#" in topic or "\0" in topic:
        raise BadPacket(f"PUBLISH to {topic[:80]!r}, which is no topic name")
    if qos:
        return Publish(topic, body[end + 2 :], _packet_id(body, end))
    return Publish(topic, body[end:], 0)


def _packet_id(body: bytes, at: int) -> int:
    packet_id = body[at] << 8 | body[at + 1]
    if not packet_id:
        raise BadPacket("packet id 0")
    return packet_id


def _two(value: int) -> bytes:
    """Two bytes, big end first. struct.pack would cut a larger value short on MicroPython, without a word."""
    if not 0 <= value <= 0xFFFF:
        raise BadPacket(f"{value} does not fit in two bytes")
    return bytes([value >> 8, value & 0xFF])


def _sized(data: bytes) -> bytes:
    return _two(len(data)) + data


def _text(text: str) -> bytes:
    return _sized(text.encode())


def _packet(first: int, body: bytes) -> bytes:
    if len(body) > MAX_BODY_BYTES:
        raise BadPacket(f"a packet of {len(body)} bytes, the limit is {MAX_BODY_BYTES}")
    size = len(body)
    # Two bytes hold any size up to 16,383, which is above the limit.
    head = bytes([first, size]) if size < 0x80 else bytes([first, size & 0x7F | 0x80, size >> 7])
    return head + body
