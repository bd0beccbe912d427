"""Retained messages, QoS and filters: the same on every broker."""

from tests.broker.conftest import Face

STATUS = "pitada/v1/dev-a/status"


async def test_a_wildcard_subscription_gets_each_retained_message_once(broker: Face) -> None:
    device = await broker.client("dev-a")
    await device.publish(STATUS, b"old", retain=True)
    await device.publish(STATUS, b"new", retain=True)
    await device.publish("pitada/v1/dev-a/flask/1/progress", b"one", retain=True)
    ingest = await broker.client("svc_ingest")

    await ingest.subscribe(("pitada/v1/+/status", 1), ("pitada/v1/+/flask/+/progress", 1))
    await device.publish(STATUS, b"last")

    found = await ingest.messages_until(b"last")
    assert sorted((message.payload, message.retain, message.qos) for message in found) == [
        (b"new", True, 1),
        (b"one", True, 1),
    ]


async def test_an_empty_payload_clears_the_retained_message(broker: Face) -> None:
    device = await broker.client("dev-a")
    await device.publish(STATUS, b"here", retain=True)
    await device.publish(STATUS, b"", retain=True)
    ingest = await broker.client("svc_ingest")

    await ingest.subscribe(("pitada/v1/+/status", 1))
    await device.publish(STATUS, b"last")

    assert await ingest.messages_until(b"last") == []


async def test_live_delivery_of_a_retained_message_does_not_carry_the_flag(broker: Face) -> None:
    ingest = await broker.client("svc_ingest")
    await ingest.subscribe(("pitada/v1/+/status", 1))
    device = await broker.client("dev-a")

    await device.publish(STATUS, b"here", retain=True)

    message = await ingest.message()
    assert (message.payload, message.retain) == (b"here", False)


async def test_a_client_that_never_subscribed_gets_nothing(broker: Face) -> None:
    device = await broker.client("dev-a")
    await device.publish(STATUS, b"here", retain=True)
    watcher = await broker.client("svc_ingest")
    await device.publish(STATUS, b"again", retain=True)

    await watcher.subscribe(("pitada/v1/+/telemetry", 0))
    await device.publish("pitada/v1/dev-a/telemetry", b"last", qos=0)

    assert await watcher.messages_until(b"last") == []


async def test_qos_0_stays_0_for_a_subscriber_with_qos_1(broker: Face) -> None:
    ingest = await broker.client("svc_ingest")
    assert await ingest.subscribe(("pitada/v1/+/telemetry", 1)) == [1]
    device = await broker.client("dev-a")

    await device.publish("pitada/v1/dev-a/telemetry", b"here", qos=0)

    assert (await ingest.message()).qos == 0


async def test_a_subscription_with_qos_2_is_granted_qos_1(broker: Face) -> None:
    ingest = await broker.client("svc_ingest")

    assert await ingest.subscribe(("pitada/v1/+/status", 2)) == [1]


async def test_subscribing_again_replaces_the_qos(broker: Face) -> None:
    ingest = await broker.client("svc_ingest")
    await ingest.subscribe(("pitada/v1/+/status", 1))
    await ingest.subscribe(("pitada/v1/+/status", 0))
    device = await broker.client("dev-a")

    await device.publish(STATUS, b"here")
    await device.publish(STATUS, b"last")

    assert [message.qos for message in await ingest.messages_until(b"last")] == [0]


async def test_overlapping_filters_deliver(broker: Face) -> None:
    board = await broker.client("svc_dashboard")
    await board.subscribe(("pitada/v1/dev-a/+", 0), ("pitada/v1/dev-a/#", 1), ("pitada/v1/dev-b/status", 1))
    device = await broker.client("dev-a")
    other = await broker.client("dev-b")

    await device.publish(STATUS, b"here")
    await other.publish("pitada/v1/dev-b/status", b"last")

    found = await board.messages_until(b"last")
    assert {message.payload for message in found} == {b"here"}


async def test_unsubscribing_ends_delivery(broker: Face) -> None:
    ingest = await broker.client("svc_ingest")
    await ingest.subscribe(("pitada/v1/+/status", 1), ("pitada/v1/+/job/accept", 1))
    name = b"pitada/v1/+/status"
    ingest.send(b"\xa2" + bytes((4 + len(name),)) + b"\x00\x63" + len(name).to_bytes(2, "big") + name)
    assert await ingest.answer(0xB0) == b"\x00\x63"
    device = await broker.client("dev-a")

    await device.publish(STATUS, b"here")
    await device.publish("pitada/v1/dev-a/job/accept", b"last")

    assert await ingest.messages_until(b"last") == []
