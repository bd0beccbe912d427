"""Packets cut out of a stream, PUBLISH and PUBACK, as every room reads and writes them."""

import pytest

from protocol.packets import Framer, Malformed, TooLarge, parse_puback, parse_publish, puback, publish

A_PUBLISH = publish("a/b", b"x" * 300, 1, False, 7)


def test_a_framer_gives_the_same_packets_however_the_bytes_are_split() -> None:
    stream = A_PUBLISH + b"\xc0\x00" + publish("a", b"", 0, False, 0)
    whole = list(Framer(1_000).feed(stream))

    for size in range(1, len(stream)):
        framer = Framer(1_000)
        parts = [stream[at : at + size] for at in range(0, len(stream), size)]
        assert [packet for part in parts for packet in framer.feed(part)] == whole


def test_a_packet_over_the_limit_is_refused_before_its_body_came() -> None:
    framer = Framer(100)

    with pytest.raises(TooLarge, match="limit is 100"):
        list(framer.feed(b"\x30\x80\x01"))


def test_a_length_of_five_bytes_is_malformed() -> None:
    with pytest.raises(Malformed, match="four bytes"):
        list(Framer(100).feed(b"\x30\xff\xff\xff\xff"))


def test_a_framer_says_which_packet_has_begun() -> None:
    framer = Framer(1_000)
    begun = [framer.incomplete]
    for part in (A_PUBLISH[:5], A_PUBLISH[5:]):
        list(framer.feed(part))
        begun.append(framer.incomplete)

    assert begun == [None, A_PUBLISH[0], None]


@pytest.mark.parametrize(
    ("topic", "payload", "qos", "retained", "packet_id"),
    [("a/b", b"x", 1, False, 65_535), ("a/ü", b"", 0, True, 0), ("t", b"x" * 20_000, 1, True, 1)],
)
def test_a_publish_is_read_as_it_was_written(
    topic: str, payload: bytes, qos: int, retained: bool, packet_id: int
) -> None:
    ((first, body),) = Framer(30_000).feed(publish(topic, payload, qos, retained, packet_id))

    assert parse_publish(first, body) == (topic, payload, qos, retained, packet_id)


def test_every_shortened_publish_header_is_malformed() -> None:
    ((first, body),) = Framer(1_000).feed(publish("a/b", b"", 1, False, 1))

    for size in range(len(body)):
        with pytest.raises(Malformed):
            parse_publish(first, body[:size])
    assert parse_publish(first, body) == ("a/b", b"", 1, False, 1)


@pytest.mark.parametrize(
    ("first", "body", "why"),
    [
        (0x34, b"\0\1a\0\1", "QoS 2"),
        (0x36, b"\0\1a\0\1", "QoS 3"),
        (0x38, b"\0\1a", "marked as a repeat"),
        (0x30, b"\0\1+", "wildcard"),
        (0x30, b"\0\1\xff", "UTF-8"),
        (0x30, b"\0\2a\0", "U\\+0000"),
        (0x32, b"\0\1a\0\0", "packet id 0"),
    ],
)
def test_what_is_no_publish_of_ours_is_malformed(first: int, body: bytes, why: str) -> None:
    with pytest.raises(Malformed, match=why):
        parse_publish(first, body)


def test_a_puback_names_its_message() -> None:
    ((_, body),) = Framer(100).feed(puback(300))

    assert parse_puback(body) == 300
    with pytest.raises(Malformed, match="two bytes"):
        parse_puback(b"\0")
