"""What the services' client writes is what the broker reads."""

import pytest

from broker.packets import Framer, parse_connect, parse_puback, parse_publish, parse_subscribe
from services import mqtt_packets as packets


def one(packet: bytes) -> tuple[int, bytes]:
    ((first, body),) = Framer(1 << 20).feed(packet)
    return first, body


@pytest.mark.parametrize("clean", [True, False])
def test_a_connect_names_the_account_twice_and_its_session(clean: bool) -> None:
    first, body = one(packets.connect("svc_ingest", "s3cret", clean_session=clean, keepalive_s=15))
    read = parse_connect(body)
    assert first == 0x10
    assert (read.client_id, read.user, read.password) == ("svc_ingest", "svc_ingest", b"s3cret")
    assert (read.clean, read.keepalive_s, read.will) == (clean, 15, None)


def test_a_subscribe_asks_for_qos_1() -> None:
    _, body = one(packets.subscribe(9, ["a/+", "b/#"]))
    assert parse_subscribe(body) == (9, [("a/+", 1), ("b/#", 1)])


@pytest.mark.parametrize("size", [0, 100, 121, 122, 16_000, 100_000])
@pytest.mark.parametrize(("packet_id", "retained"), [(0, False), (0, True), (65_535, True)])
def test_a_publish_of_any_length_is_whole(size: int, packet_id: int, retained: bool) -> None:
    packet = packets.publish("a/b", b"x" * size, packet_id, retained=retained)
    assert parse_publish(*one(packet)) == ("a/b", b"x" * size, int(packet_id > 0), retained, packet_id)
    begins, ends = packets.body_of(packet, 0)
    if packet[1] >= 0x80:
        assert (packet[begins : begins + 5], ends) == (b"\x00\x03a/b", len(packet))


def test_acknowledgements_are_one_packet_each() -> None:
    read = [parse_puback(body) for _, body in Framer(100).feed(packets.pubacks([1, 256, 65_535]))]
    assert read == [1, 256, 65_535]


def test_a_length_that_is_not_all_there_is_waited_for() -> None:
    packet = packets.publish("a/b", b"x" * 20_000, 1, retained=False)
    assert [packets.body_of(packet[:size], 0) for size in (2, 3)] == [(0, 0), (0, 0)]
    assert packets.body_of(packet[:4], 0) == (4, len(packet))
