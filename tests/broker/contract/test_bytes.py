"""Bytes as a network, a broken client or an attacker delivers them: the same on every broker."""

import pytest

from tests.broker.conftest import Face, connect_bytes, packet, publish_bytes, subscribe_bytes, text

STATUS = "pitada/v1/dev-a/status"

# The limit of both brokers, written again on purpose: a dispenser's 5 KiB must pass, 1 MiB must not.
LIMIT = 16_384

MALFORMED = {
    "a packet type that does not exist": b"\x00\x00",
    "the other packet type that does not exist": b"\xf0\x00",
    "a length of five bytes": b"\x30\xff\xff\xff\xff\x7f",
    "a second CONNECT": connect_bytes("dev-a"),
    "a CONNACK": b"\x20\x02\x00\x00",
    "a PUBLISH with QoS 3": b"\x36" + publish_bytes(STATUS, b"x")[1:],
    "a PUBLISH with QoS 2": b"\x34" + publish_bytes(STATUS, b"x")[1:],
    "a PUBLISH without a topic": packet(0x32, b"\x00\x00\x00\x01x"),
    "a PUBLISH with a wildcard": publish_bytes("pitada/v1/+/status", b"x"),
    "a PUBLISH with packet id 0": publish_bytes(STATUS, b"x", packet_id=0),
    "a PUBLISH whose topic is longer than the packet": packet(0x30, b"\x00\x20abc"),
    "a PUBLISH whose topic is not UTF-8": packet(0x30, b"\x00\x02\xff\xfe"),
    "a PUBLISH with U+0000": packet(0x30, b"\x00\x03a\x00b"),
    "an empty PUBLISH": packet(0x30, b""),
    "a SUBSCRIBE with the wrong flags": b"\x80" + subscribe_bytes((STATUS, 1))[1:],
    "a SUBSCRIBE without filters": packet(0x82, b"\x00\x01"),
    "a SUBSCRIBE with packet id 0": subscribe_bytes((STATUS, 1), packet_id=0),
    "a SUBSCRIBE with QoS 3": subscribe_bytes((STATUS, 3)),
    "a SUBSCRIBE that ends too early": packet(0x82, b"\x00\x01" + text(STATUS)),
    "a SUBSCRIBE with a misplaced wildcard": subscribe_bytes(("pitada/#/status", 1)),
    "an UNSUBSCRIBE without filters": packet(0xA2, b"\x00\x01"),
}

MALFORMED_CONNECT = {
    "another protocol": packet(0x10, text("HTTP") + b"\x04\x02\x00\x3c" + text("x")),
    "the reserved flag": packet(0x10, text("MQTT") + b"\x04\x03\x00\x3c" + text("x")),
    "a will of QoS 3": packet(0x10, text("MQTT") + b"\x04\x1e\x00\x3c" + text("x") + text("t") + text("w")),
    "a packet that ends too early": packet(0x10, text("MQTT") + b"\x04\xc2\x00\x3c" + text("x") + text("dev-a")),
    "a web browser": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a PINGREQ first": b"\xc0\x00",
}


async def test_packets_may_be_split_at_every_byte(broker: Face) -> None:
    ingest = await broker.client("svc_ingest")
    await ingest.subscribe(("pitada/v1/+/status", 1))
    device = await broker.raw()
    payload = b"x" * 200  # so that the length has two bytes
    data = connect_bytes("dev-a") + publish_bytes(STATUS, payload) + publish_bytes(STATUS, b"last", packet_id=2)

    for position in range(len(data)):
        device.send(data[position : position + 1])
        await device.writer.drain()
    assert not await device.connected()

    assert [message.payload for message in await ingest.messages_until(b"last")] == [payload]


async def test_many_packets_in_one_write_are_all_served(broker: Face) -> None:
    ingest = await broker.client("svc_ingest")
    await ingest.subscribe(("pitada/v1/+/status", 1))
    device = await broker.raw()
    packets = [publish_bytes(STATUS, b"%d" % number, packet_id=number + 1) for number in range(100)]

    device.send(connect_bytes("dev-a") + b"".join(packets) + publish_bytes(STATUS, b"last", packet_id=101))

    assert [int(message.payload) for message in await ingest.messages_until(b"last")] == list(range(100))


async def test_five_kib_reach_ingest_although_the_protocol_forbids_them(broker: Face) -> None:
    ingest = await broker.client("svc_ingest")
    await ingest.subscribe(("pitada/v1/+/status", 1))

    await (await broker.client("dev-a")).publish(STATUS, b"x" * 5_120)

    assert len((await ingest.message()).payload) == 5_120


async def test_a_packet_over_the_limit_is_refused_by_its_header_alone(broker: Face) -> None:
    device = await broker.client("dev-a")

    device.send(publish_bytes(STATUS, b"x" * LIMIT)[:5])  # the rest never comes

    await device.closed()


async def test_a_packet_of_the_largest_size_passes(broker: Face) -> None:
    ingest = await broker.client("svc_ingest")
    await ingest.subscribe(("pitada/v1/+/status", 1))
    payload = b"x" * (LIMIT - 200)

    await (await broker.client("dev-a")).publish(STATUS, payload)

    assert (await ingest.message()).payload == payload


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED.keys())
async def test_a_malformed_packet_closes_that_connection_and_nothing_else(broker: Face, data: bytes) -> None:
    bystander = await broker.client("dev-b")
    client = await broker.client("dev-a")

    client.send(data)

    await client.closed()
    await bystander.ping()


@pytest.mark.parametrize("data", MALFORMED_CONNECT.values(), ids=MALFORMED_CONNECT.keys())
async def test_a_malformed_connect_closes_that_connection_and_nothing_else(broker: Face, data: bytes) -> None:
    bystander = await broker.client("dev-b")
    client = await broker.raw()

    client.send(data)

    await client.closed()
    await bystander.ping()
