"""MQTT packets: built as the standard says, read in any portions, refused when they are not whole and sound."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.core import packets
from firmware.core.packets import BadPacket, Connack, Decoder, Pingresp, Puback, Publish, Suback

STREAM = (
    b"\x20\x02\x01\x00"  # CONNACK, session present
    b"\x90\x04\x00\x07\x01\x80"  # SUBACK of 7: granted, refused
    b"\x32\x07\x00\x01t\x00\x09hi"  # PUBLISH at QoS 1
    b"\x31\x05\x00\x01tyo"  # PUBLISH at QoS 0, retained
    b"\x40\x02\xff\xff"  # PUBACK of 65535
    b"\xd0\x00"  # PINGRESP
)


def take_all(decoder: Decoder) -> list[object]:
    found: list[object] = []
    while (packet := decoder.take()) is not None:
        found.append(packet)
    return found


def shown(packet: object) -> tuple[object, ...]:
    return (type(packet),) + tuple([getattr(packet, name) for name in getattr(type(packet), "__slots__", ())])


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_a_stream_reads_the_same_in_any_portions(cuts: list[int]) -> None:
    decoder = Decoder()
    found: list[object] = []
    ends = sorted(cuts) + [len(STREAM)]
    start = 0
    for end in ends:
        decoder.feed(STREAM[start:end])
        found += take_all(decoder)
        start = end
    assert [shown(one) for one in found] == [
        shown(Connack(True, 0)),
        shown(Suback(7, b"\x01\x80")),
        shown(Publish("t", b"hi", 9)),
        shown(Publish("t", b"yo", 0)),
        shown(Puback(65535)),
        shown(Pingresp()),
    ]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("CONNECT from a broker", b"\x10\x00"),
        ("type 0", b"\x00\x00"),
        ("type 15", b"\xf0\x00"),
        ("PUBREL of QoS 2", b"\x62\x02\x00\x01"),
        ("flags on PUBACK", b"\x41\x02\x00\x01"),
        ("short CONNACK", b"\x20\x01\x00"),
        ("CONNACK with reserved bits", b"\x20\x02\x02\x00"),
        ("SUBACK without codes", b"\x90\x02\x00\x01"),
        ("SUBACK with code 3", b"\x90\x03\x00\x01\x03"),
        ("PUBACK of id 0", b"\x40\x02\x00\x00"),
        ("long PUBACK", b"\x40\x03\x00\x01\x00"),
        ("PINGRESP with a body", b"\xd0\x01\x00"),
        ("PUBLISH at QoS 2", b"\x34\x05\x00\x01t\x00\x01"),
        ("PUBLISH at QoS 3", b"\x36\x05\x00\x01t\x00\x01"),
        ("PUBLISH without a topic", b"\x30\x01\x00"),
        ("PUBLISH with an empty topic", b"\x30\x02\x00\x00"),
        ("PUBLISH shorter than its topic", b"\x30\x03\x00\x05t"),
        ("PUBLISH without its packet id", b"\x32\x03\x00\x01t"),
        ("PUBLISH with packet id 0", b"\x32\x05\x00\x01t\x00\x00"),
        ("PUBLISH to a wildcard", b"\x30\x03\x00\x01#"),
        ("PUBLISH to a NUL", b"\x30\x03\x00\x01\x00"),
        ("PUBLISH to broken UTF-8", b"\x30\x03\x00\x01\xff"),
        ("five length bytes", b"\x30\x80\x80\x80\x80\x01"),
    ],
)
def test_a_malformed_packet_is_refused(name: str, data: bytes) -> None:
    decoder = Decoder()
    decoder.feed(data)
    with pytest.raises(BadPacket):
        take_all(decoder)


def test_a_packet_over_the_limit_is_refused_before_its_body_comes() -> None:
    decoder = Decoder()
    size = packets.MAX_BODY_BYTES + 1
    decoder.feed(bytes([0x30, size & 0x7F | 0x80, size >> 7]))
    with pytest.raises(BadPacket, match="limit is 4352"):
        decoder.take()


def test_a_packet_of_just_the_limit_is_read() -> None:
    size = packets.MAX_BODY_BYTES
    decoder = Decoder()
    decoder.feed(bytes([0x30, size & 0x7F | 0x80, size >> 7]) + b"\x00\x01t" + bytes(size - 3))
    packet = decoder.take()
    assert isinstance(packet, Publish)
    assert len(packet.payload) == size - 3


def test_connect_has_the_will_retained_and_a_clean_session() -> None:
    assert packets.connect("dev", "pw", 30, "w", b"gone") == (
        b"\x10\x21\x00\x04MQTT\x04\xee\x00\x1e\x00\x03dev\x00\x01w\x00\x04gone\x00\x03dev\x00\x02pw"
    )


def test_subscribe_publish_and_puback_are_as_in_the_standard() -> None:
    assert packets.subscribe(10, ("a", "b/+")) == b"\x82\x0c\x00\x0a\x00\x01a\x01\x00\x03b/+\x01"
    assert packets.publish("t", b"hi", False, 258) == b"\x32\x07\x00\x01t\x01\x02hi"
    assert packets.publish("t", b"hi", True) == b"\x31\x05\x00\x01thi"
    assert packets.publish("t", bytes(200), False)[:3] == b"\x30\xcb\x01"
    assert packets.puback(65535) == b"\x40\x02\xff\xff"


def test_a_number_that_does_not_fit_in_two_bytes_is_refused_not_cut_short() -> None:
    with pytest.raises(BadPacket, match="70000"):
        packets.puback(70_000)
    with pytest.raises(BadPacket, match="limit"):
        packets.publish("t", bytes(5000), False, 1)


def test_read_bytes_are_not_kept() -> None:
    decoder = Decoder()
    for _ in range(100):
        decoder.feed(STREAM + b"\x32")
        take_all(decoder)
        decoder.feed(b"\x07\x00\x01t\x00\x09hi")
        take_all(decoder)
    assert decoder._buffer == b""
