"""What an account may do, and what somebody without its password cannot: the same on every broker."""

import pytest

from tests.broker.conftest import Face, connect_bytes, publish_bytes

STATUS = "pitada/v1/dev-a/status"
WILL = (STATUS, b"offline", 1, True)


@pytest.mark.parametrize(
    "topic",
    [
        "pitada/v1/dev-b/status",
        "pitada/v1/dev-a/job/offer",
        "pitada/v1/dev-a/config",
        "pitada/v1/dev-a/flask/1/stock",
        "pitada/v1/dev-a/status/more",
    ],
)
async def test_what_a_device_publishes_outside_its_own_topics_reaches_nobody(broker: Face, topic: str) -> None:
    board = await broker.client("svc_dashboard")
    await board.subscribe(("pitada/v1/#", 1))
    device = await broker.client("dev-a")

    device.send(publish_bytes(topic, b"forged", retain=True))
    await device.settled()  # Mosquitto 2.0.11 acknowledges, drops the message, and then ends the connection
    await (await broker.client("dev-a")).publish(STATUS, b"last")

    assert await board.messages_until(b"last") == []


@pytest.mark.parametrize("user", ["op_ana", "svc_dashboard", "svc_ingest", "svc_dispatch"])
async def test_an_account_that_is_no_device_has_no_topics_of_its_own(broker: Face, user: str) -> None:
    board = await broker.client("svc_dashboard" if user != "svc_dashboard" else "op_ana")
    await board.subscribe(("pitada/v1/#", 1))

    for topic in (f"pitada/v1/{user}/status", STATUS):
        account = await broker.client(user)
        account.send(publish_bytes(topic, b"forged", retain=True))
        await account.settled()
    await (await broker.client("dev-a")).publish(STATUS, b"last")

    assert await board.messages_until(b"last") == []


@pytest.mark.parametrize(
    "wanted",
    [
        "#",
        "+/#",
        "pitada/v1/#",
        "pitada/v1/+/status",
        "pitada/v1/dev-b/status",
        "pitada/v1/dev-b/#",
        "pitada/v1/+/job/offer",
        "pitada/v1/+/+",
    ],
)
async def test_a_device_receives_nothing_of_another_whatever_it_subscribes_to(broker: Face, wanted: str) -> None:
    dispatch = await broker.client("svc_dispatch")
    other = await broker.client("dev-b")
    await other.publish("pitada/v1/dev-b/status", b"retained", retain=True)
    spy = await broker.client("dev-a")

    await spy.subscribe((wanted, 1), ("pitada/v1/dev-a/job/cancel", 1))
    await other.publish("pitada/v1/dev-b/status", b"live")
    await dispatch.publish("pitada/v1/dev-b/job/offer", b"secret")
    await dispatch.publish("pitada/v1/dev-a/job/cancel", b"last")

    assert await spy.messages_until(b"last") == []


async def test_a_device_learns_nothing_by_connecting(broker: Face) -> None:
    board = await broker.client("svc_dashboard")
    await board.subscribe(("pitada/v1/#", 1))
    await (await broker.client("dev-b")).publish("pitada/v1/dev-b/status", b"here", retain=True)
    dispatch = await broker.client("svc_dispatch")

    device = await broker.client("dev-a", clean=False)
    await device.subscribe(("pitada/v1/dev-a/job/offer", 1))
    await dispatch.publish("pitada/v1/dev-a/job/offer", b"last")

    assert await device.messages_until(b"last") == []


async def test_dollar_sys_is_closed(broker: Face) -> None:
    operator = await broker.client("op_ana")
    await operator.subscribe(("$SYS/#", 0), ("pitada/v1/#", 1))

    await (await broker.client("dev-a")).publish(STATUS, b"last")

    assert await operator.messages_until(b"last") == []


async def test_a_last_will_for_a_topic_of_somebody_else_reaches_nobody(broker: Face) -> None:
    board = await broker.client("svc_dashboard")
    await board.subscribe(("pitada/v1/#", 1))
    attacker = await broker.raw()
    attacker.send(connect_bytes("dev-b", will=WILL))
    await attacker.packet()  # accepted or refused, as the broker likes
    await attacker.drop()

    await (await broker.client("dev-a")).publish(STATUS, b"last")

    assert await board.messages_until(b"last") == []


@pytest.mark.parametrize(("user", "password"), [("dev-a", b"wrong"), ("dev-a", b""), ("nobody", b"x"), ("", b"")])
async def test_wrong_credentials_are_refused(broker: Face, user: str, password: bytes) -> None:
    client = await broker.raw()
    client.send(connect_bytes(user, password, client_id="x"))

    first, body = await client.packet()

    assert first == 0x20
    assert body[1] in (4, 5)
    await client.closed()


async def test_a_client_without_credentials_is_refused(broker: Face) -> None:
    client = await broker.raw()
    client.send(b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01x")

    first, body = await client.packet()

    assert first == 0x20
    assert body[1] in (4, 5)
    await client.closed()


async def test_a_wrong_password_does_not_disconnect_the_live_device(broker: Face) -> None:
    device = await broker.client("dev-a")

    await _attack(broker, connect_bytes("dev-a", b"wrong"))

    await device.ping()


async def test_a_wrong_password_with_clean_session_does_not_wipe_the_queue(broker: Face) -> None:
    ingest = await broker.client("svc_ingest", clean=False)
    await ingest.subscribe(("pitada/v1/+/status", 1))
    await ingest.leave()
    await (await broker.client("dev-a")).publish(STATUS, b"waits")

    await _attack(broker, connect_bytes("svc_ingest", b"wrong", clean=True))

    ingest = await broker.client("svc_ingest", clean=False)
    assert (await ingest.message()).payload == b"waits"


async def test_a_wrong_password_does_not_publish_a_last_will_as_the_victim(broker: Face) -> None:
    board = await broker.client("svc_dashboard")
    await board.subscribe(("pitada/v1/#", 1))
    device = await broker.client("dev-a")

    await _attack(broker, connect_bytes("dev-a", b"wrong", will=WILL))
    await device.publish(STATUS, b"last")

    assert await board.messages_until(b"last") == []


async def test_packets_before_a_refused_connect_do_nothing(broker: Face) -> None:
    board = await broker.client("svc_dashboard")
    await board.subscribe(("pitada/v1/#", 1))

    attacker = await broker.raw()
    attacker.send(publish_bytes(STATUS, b"forged"))
    await attacker.closed()
    await _attack(broker, connect_bytes("dev-a", b"wrong") + publish_bytes(STATUS, b"forged"))
    await (await broker.client("dev-a")).publish(STATUS, b"last")

    assert await board.messages_until(b"last") == []


async def _attack(broker: Face, data: bytes) -> None:
    """Sends, and waits until the broker has shown the attacker out."""
    attacker = await broker.raw()
    attacker.send(data)
    await attacker.closed()
