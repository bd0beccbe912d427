"""The packets of MQTT 3.1.1 that a service's client writes, and the lengths of those it reads. No I/O."""

from collections.abc import Sequence

CONNACK = 0x20
PUBLISH = 0x30
PUBACK = 0x40
SUBACK = 0x90
PINGRESP = 0xD0

PINGREQ = b"\xc0\x00"
DISCONNECT = b"\xe0\x00"

# What a broker answers to a filter that it does not grant.
REFUSED = 0x80

# Packet ids are 1 to this.
LAST_ID = 65_535

# No broker here lets through a packet over 16 kB; a length above this is a stream that lost its place.
LONGEST = 1 << 20

# CONNACK's return codes, in words for the operator.
CONNECT_REFUSALS = {
    1: "it does not speak MQTT 3.1.1",
    2: "it does not take this client id",
    3: "it is not ready",
    4: "user name or password is wrong",
    5: "the account is not allowed to connect",
}


class NotMqtt(ValueError):
    """Bytes that no MQTT broker sends."""


def connect(user: str, password: str, *, clean_session: bool, keepalive_s: int) -> bytes:
    """CONNECT; the user name is the client id too."""
    # User name, password, and whether the session begins anew.
    flags = 0xC0 | (0x02 if clean_session else 0)
    head = b"\x00\x04MQTT\x04" + bytes((flags,)) + keepalive_s.to_bytes(2, "big")
    return _packet(0x10, head + _text(user) + _text(user) + _text(password))


def subscribe(packet_id: int, filters: Sequence[str]) -> bytes:
    """SUBSCRIBE, QoS 1 for each filter."""
    return _packet(0x82, packet_id.to_bytes(2, "big") + b"".join(_text(name) + b"\x01" for name in filters))


def publish(topic: str, payload: bytes, packet_id: int, *, retained: bool) -> bytes:
    """PUBLISH; QoS 1 when it has a packet id, QoS 0 when that is 0."""
    first = PUBLISH | (0x02 if packet_id else 0) | retained
    return _packet(first, _text(topic) + (packet_id.to_bytes(2, "big") if packet_id else b"") + payload)


def pubacks(packet_ids: Sequence[int]) -> bytes:
    """A PUBACK for each."""
    return b"".join([b"\x40\x02" + packet_id.to_bytes(2, "big") for packet_id in packet_ids])


def body_of(data: bytes, at: int) -> tuple[int, int]:
    """Where the body of the packet at `at`, whose length takes more than one byte, begins and ends.

    (0, 0) while its length is not all there.
    """
    some = data[at + 1 : at + 5]
    # Nearly every message takes two bytes.
    if len(some) > 1 and some[1] < 0x80:
        return at + 3, at + 3 + (some[0] & 0x7F | some[1] << 7)
    length = 0
    for place, byte in enumerate(some):
        length |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return at + 2 + place, at + 2 + place + length
    if len(some) == 4:
        raise NotMqtt("a packet's length takes more than four bytes")
    return 0, 0


def _packet(first: int, body: bytes) -> bytes:
    length, left = bytearray(), len(body)
    while left >= 0x80:
        length.append(left & 0x7F | 0x80)
        left >>= 7
    length.append(left)
    return bytes((first,)) + bytes(length) + body


def _text(value: str) -> bytes:
    raw = value.encode()
    return len(raw).to_bytes(2, "big") + raw
