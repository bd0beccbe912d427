"""MQTT 3.1.1 as both ends of a connection read and write it: packets cut out of a stream, PUBLISH and PUBACK. No I/O.

What only a broker or only a dispenser needs of the standard is in their rooms.
"""

try:
    from collections.abc import Iterator
except ImportError:
    pass

# Type of a packet: the upper half of its first byte.
TYPE = 0xF0
PUBLISH = 0x30
PUBACK = 0x40


class Malformed(Exception):
    """The other end sent what is not MQTT 3.1.1, or not served here. The connection ends."""


class TooLarge(Malformed):
    """A header announced a packet over the limit. Nothing of it was kept."""


class Framer:
    """Cuts a byte stream into packets, however it was split on the way."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._rest = b""

    @property
    def incomplete(self) -> "int | None":
        """The first byte of the packet of which not everything came yet; None between two packets."""
        return self._rest[0] if self._rest else None

    def feed(self, data: bytes) -> "Iterator[tuple[int, bytes]]":
        """(first byte, everything after the length) of each packet that `data` completes.

        Raises `TooLarge` as soon as a header announces more than the limit, before the packet is buffered.
        """
        if self._rest:
            data = self._rest + data
        end = len(data)
        at = 0
        while end - at >= 2:
            length = data[at + 1]
            start = at + 2
            if length & 0x80:
                long_length = _long_length(data, at + 1, end)
                if long_length is None:
                    break
                length, start = long_length
            if start - at + length > self._max_bytes:
                self._rest = b""
                raise TooLarge(f"a packet of {length} bytes was announced, the limit is {self._max_bytes}")
            if start + length > end:
                break
            yield data[at], data[start : start + length]
            at = start + length
        self._rest = data[at:]


def _long_length(data: bytes, at: int, end: int) -> "tuple[int, int] | None":
    """(remaining length, where the body starts) of a length in several bytes; None while it is incomplete."""
    length = 0
    for position in range(4):
        if at + position >= end:
            return None
        byte = data[at + position]
        length |= (byte & 0x7F) << (7 * position)
        if byte < 0x80:
            return length, at + position + 1
    raise Malformed("the length of a packet has more than four bytes")


def parse_publish(first: int, body: bytes) -> "tuple[str, bytes, int, bool, int]":
    """(topic, payload, QoS, retain, packet id or 0) of a PUBLISH."""
    qos = (first >> 1) & 3
    if qos > 1:
        raise Malformed("QoS 2 is not served, use QoS 1" if qos == 2 else "a PUBLISH has QoS 3")
    if qos == 0 and first & 0x08:
        raise Malformed("a PUBLISH with QoS 0 is marked as a repeat")
    at = 2 + int.from_bytes(body[:2], "big")
    payload_at = at + 2 * qos
    if len(body) < payload_at or at == 2:
        raise Malformed("a PUBLISH is shorter than it says, or has no topic")
    topic = _text(body[2:at])
    if "+" in topic or "#" in topic:
        raise Malformed("the topic of a PUBLISH has a wildcard")
    packet_id = 0
    if qos:
        packet_id = int.from_bytes(body[at:payload_at], "big")
        if not packet_id:
            raise Malformed("a PUBLISH with QoS 1 has packet id 0")
    return topic, body[payload_at:], qos, bool(first & 1), packet_id


def parse_puback(body: bytes) -> int:
    """The packet id that a PUBACK acknowledges."""
    if len(body) != 2:
        raise Malformed("a PUBACK is not two bytes long")
    return int.from_bytes(body, "big")


def publish(topic: str, payload: bytes, qos: int, retained: bool, packet_id: int) -> bytes:
    """A PUBLISH at QoS 0 or 1; at QoS 0 `packet_id` says nothing."""
    name = topic.encode()
    head = len(name).to_bytes(2, "big") + name + (packet_id.to_bytes(2, "big") if qos else b"")
    return bytes((PUBLISH | qos << 1 | retained,)) + length_bytes(len(head) + len(payload)) + head + payload


def puback(packet_id: int) -> bytes:
    """A PUBACK."""
    return b"\x40\x02" + packet_id.to_bytes(2, "big")


def length_bytes(length: int) -> bytes:
    """A packet's remaining length as it is written."""
    if length < 128:
        return bytes((length,))
    out = bytearray()
    while length >= 128:
        out.append(length & 0x7F | 0x80)
        length >>= 7
    out.append(length)
    return bytes(out)


def _text(raw: bytes) -> str:
    """An MQTT string: UTF-8 without U+0000."""
    try:
        value = raw.decode()
    except ValueError:
        raise Malformed("a string is not UTF-8")
    if "\0" in value:
        raise Malformed("a string has U+0000 in it")
    return value
