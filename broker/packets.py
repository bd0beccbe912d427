"""MQTT 3.1.1 packets as a broker reads and writes them. No I/O.

CONNECT, SUBSCRIBE and UNSUBSCRIBE go through amqtt's codec; PUBLISH, which is nearly all of the traffic, is in
`protocol.packets` (`docs/decisions/0002-embedded-broker.md` has the measurement).
"""

from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

from amqtt.adapters import BufferReader
from amqtt.errors import AMQTTError, CodecError, MQTTError, NoDataError
from amqtt.mqtt.connect import ConnectPacket
from amqtt.mqtt.packet import MQTTFixedHeader
from amqtt.mqtt.subscribe import SubscribePacket
from amqtt.mqtt.unsubscribe import UnsubscribePacket

from protocol.packets import Malformed, length_bytes

# First byte of the other packets that a client may send: type, and the flags that the standard fixes.
CONNECT = 0x10
SUBSCRIBE = 0x82
UNSUBSCRIBE = 0xA2
PINGREQ = 0xC0
DISCONNECT = 0xE0

PINGRESP = b"\xd0\x00"

# Codes of a CONNACK.
ACCEPTED = 0
BAD_PROTOCOL = 1
BAD_CLIENT_ID = 2
UNAVAILABLE = 3
BAD_CREDENTIALS = 4
NOT_AUTHORISED = 5

# Code of a refused filter in a SUBACK.
REFUSED = 0x80

# The deepest topic of the protocol has six levels; a filter with thousands would only be there to cost time.
MAX_LEVELS = 16


@dataclass(frozen=True, slots=True)
class Will:
    """What to publish when a connection ends without a DISCONNECT."""

    topic: str
    payload: bytes
    qos: int
    retain: bool


@dataclass(frozen=True, slots=True)
class Connect:
    """A CONNECT. `user` is None when the packet names nobody."""

    client_id: str
    clean: bool
    keepalive_s: int
    user: str | None
    password: bytes
    will: Will | None


class WrongVersion(Malformed):
    """A CONNECT of another protocol version; the standard wants it answered with code 1."""


def parse_connect(body: bytes) -> Connect:
    """The CONNECT in `body`. Raises `WrongVersion` for anything but MQTT 3.1.1."""
    if body[:6] != b"\x00\x04MQTT" or body[6:7] != b"\x04":
        if body[:6] in (b"\x00\x04MQTT", b"\x00\x06MQIs"):
            raise WrongVersion("only MQTT 3.1.1 is served")
        raise Malformed("a CONNECT does not name the protocol MQTT")
    packet = _decode(ConnectPacket, CONNECT, body)
    header, payload = packet.variable_header, packet.payload
    if header.reserved_flag or (header.password_flag and not header.username_flag):
        raise Malformed("a CONNECT has flags that do not go together")
    # The codec leaves out what a CONNECT that ends too early announced, and then writes it as short as it came.
    announced = (header.will_flag, header.username_flag, header.password_flag)
    came = (payload.will_message, payload.username, payload.password)
    if any(flag and value is None for flag, value in zip(announced, came, strict=True)):
        raise Malformed("a CONNECT ends too early")
    if not header.will_flag and (header.will_qos or header.will_retain_flag):
        raise Malformed("a CONNECT has will flags but no will")
    will = None
    if header.will_flag:
        if header.will_qos > 1:
            raise Malformed("a will has QoS 2 or 3, use QoS 1")
        topic = payload.will_topic
        if not topic or "+" in topic or "#" in topic or "\0" in topic:
            raise Malformed("the topic of a will is empty or has a wildcard")
        will = Will(topic, bytes(payload.will_message), header.will_qos, header.will_retain_flag)
    return Connect(
        client_id=payload.client_id,
        clean=header.clean_session_flag,
        keepalive_s=header.keep_alive,
        user=payload.username if header.username_flag else None,
        password=payload.password.encode() if header.password_flag else b"",
        will=will,
    )


def parse_subscribe(body: bytes) -> tuple[int, list[tuple[str, int]]]:
    """(packet id, [(filter, QoS asked for)]) of a SUBSCRIBE."""
    packet = _decode(SubscribePacket, SUBSCRIBE, body)
    for wanted, qos in packet.payload.topics:
        if qos > 2:
            raise Malformed("a SUBSCRIBE asks for a QoS over 2")
        _check_filter(wanted)
    return _numbered(packet), list(packet.payload.topics)


def parse_unsubscribe(body: bytes) -> tuple[int, list[str]]:
    """(packet id, filters) of an UNSUBSCRIBE."""
    packet = _decode(UnsubscribePacket, UNSUBSCRIBE, body)
    for unwanted in packet.payload.topics:
        _check_filter(unwanted)
    return _numbered(packet), list(packet.payload.topics)


def connack(code: int, session_present: bool = False) -> bytes:
    """A CONNACK."""
    return bytes((0x20, 2, session_present, code))


def suback(packet_id: int, codes: list[int]) -> bytes:
    """A SUBACK: for each filter the QoS it got, or `REFUSED`."""
    return b"\x90" + length_bytes(2 + len(codes)) + packet_id.to_bytes(2, "big") + bytes(codes)


def unsuback(packet_id: int) -> bytes:
    """An UNSUBACK."""
    return b"\xb0\x02" + packet_id.to_bytes(2, "big")


def _check_filter(filter: str) -> None:
    if not filter or "\0" in filter:
        raise Malformed("a filter is empty or has U+0000 in it")
    levels = filter.split("/")
    for position, level in enumerate(levels):
        if ("#" in level and (level != "#" or position != len(levels) - 1)) or ("+" in level and level != "+"):
            raise Malformed("a filter has a wildcard where it may not be")


def _numbered(packet: Any) -> int:
    packet_id: int = packet.variable_header.packet_id
    if not packet_id or not packet.payload.topics:
        raise Malformed("a SUBSCRIBE or UNSUBSCRIBE has packet id 0 or no filter")
    return packet_id


def _decode(kind: Any, first: int, body: bytes) -> Any:
    """`body` through amqtt's codec, strictly.

    The codec forgives: it takes what it finds of a packet that is too short or too long, and shows bytes that are not
    UTF-8 as if they were text. Written again, such a packet is not the one that came in, and that is how it is found.
    """
    fixed = MQTTFixedHeader(first >> 4, first & 0x0F, len(body))
    try:
        packet = _finish(kind.from_stream(BufferReader(body), fixed))
        if kind is ConnectPacket and packet.payload.client_id_is_random:
            packet.payload.client_id = ""  # the codec has put a random one there
        again = packet.to_bytes()
    except (AMQTTError, CodecError, MQTTError, NoDataError, ValueError) as error:
        raise Malformed(f"a packet of type {first >> 4} cannot be read: {error}") from error
    if again[-len(body) :] != body or len(again) != 1 + len(length_bytes(len(body))) + len(body):
        raise Malformed(f"a packet of type {first >> 4} is not what it says")
    return packet


def _finish(reading: Coroutine[Any, Any, Any]) -> Any:
    """The result of a coroutine that only reads from memory, so never waits."""
    try:
        reading.send(None)
    except StopIteration as done:
        return done.value
    reading.close()
    raise Malformed("amqtt's codec waited for more than the packet")
