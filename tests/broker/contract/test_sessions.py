"""Persistent sessions, last wills and takeover: the same on every broker."""

import asyncio
import time

from tests.broker.conftest import Face, connect_bytes

STATUS = "pitada/v1/dev-a/status"
WILL = (STATUS, b"offline", 1, True)


async def test_the_queue_of_an_offline_session_arrives_in_order_without_the_retain_flag(broker: Face) -> None:
    ingest = await broker.client("svc_ingest", clean=False)
    await ingest.subscribe(("pitada/v1/+/status", 1))
    await ingest.leave()
    device = await broker.client("dev-a")
    for number in range(50):
        await device.publish(STATUS, b"%d" % number, retain=True)

    ingest = await broker.raw()
    ingest.send(connect_bytes("svc_ingest", clean=False))
    assert await ingest.connected()
    await device.publish(STATUS, b"last")

    found = await ingest.messages_until(b"last")
    assert [int(message.payload) for message in found] == list(range(50))
    assert not any(message.retain for message in found)


async def test_unacknowledged_messages_are_repeated_with_dup_after_a_drop(broker: Face) -> None:
    ingest = await broker.client("svc_ingest", clean=False)
    await ingest.subscribe(("pitada/v1/+/status", 1))
    device = await broker.client("dev-a")
    for number in range(10):
        await device.publish(STATUS, b"%d" % number)
    first = [await ingest.message(ack=False) for _ in range(10)]
    await ingest.drop()

    ingest = await broker.client("svc_ingest", clean=False)

    again = [await ingest.message() for _ in range(10)]
    assert [message.payload for message in again] == [message.payload for message in first]
    assert all(message.dup for message in again)


async def test_an_acknowledgement_after_more_than_five_seconds_counts(broker: Face) -> None:
    ingest = await broker.client("svc_ingest", clean=False)
    await ingest.subscribe(("pitada/v1/+/status", 1))
    device = await broker.client("dev-a")
    await device.publish(STATUS, b"slow")
    message = await ingest.message(ack=False)

    # The time itself is what is tested: brokers that give up on a late acknowledgement do so after 5 s.
    await asyncio.sleep(5.5)
    ingest.ack(message)
    await ingest.ping()
    await ingest.drop()

    ingest = await broker.client("svc_ingest", clean=False)
    await device.publish(STATUS, b"last")
    assert await ingest.messages_until(b"last") == []


async def test_a_clean_session_forgets_subscriptions_and_queue(broker: Face) -> None:
    ingest = await broker.client("svc_ingest", clean=False)
    await ingest.subscribe(("pitada/v1/+/status", 1))
    await ingest.leave()
    device = await broker.client("dev-a")
    await device.publish(STATUS, b"waits")

    await (await broker.client("svc_ingest", clean=True)).leave()
    ingest = await broker.raw()
    ingest.send(connect_bytes("svc_ingest", clean=False))

    assert not await ingest.connected()
    await ingest.subscribe(("pitada/v1/+/job/accept", 1))
    await device.publish(STATUS, b"not asked for")
    await device.publish("pitada/v1/dev-a/job/accept", b"last")
    assert await ingest.messages_until(b"last") == []


async def test_an_abrupt_drop_publishes_the_last_will(broker: Face) -> None:
    ingest = await broker.client("svc_ingest")
    await ingest.subscribe(("pitada/v1/+/status", 1))
    device = await broker.client("dev-a", will=WILL)

    await device.drop()

    message = await ingest.message()
    assert (message.topic, message.payload) == (STATUS, b"offline")


async def test_a_disconnect_discards_the_last_will(broker: Face) -> None:
    ingest = await broker.client("svc_ingest")
    await ingest.subscribe(("pitada/v1/+/status", 1))
    await (await broker.client("dev-a", will=WILL)).leave()

    await (await broker.client("dev-a")).publish(STATUS, b"last")

    assert await ingest.messages_until(b"last") == []


async def test_silence_of_one_and_a_half_keepalives_publishes_the_last_will(broker: Face) -> None:
    ingest = await broker.client("svc_ingest")
    await ingest.subscribe(("pitada/v1/+/status", 1))
    started = time.monotonic()
    device = await broker.client("dev-a", will=WILL, keepalive_s=1)

    assert (await ingest.message()).payload == b"offline"

    assert time.monotonic() - started >= 1
    await device.closed()


async def test_the_same_account_takes_over_whatever_client_id_it_sends(broker: Face) -> None:
    ingest = await broker.client("svc_ingest")
    await ingest.subscribe(("pitada/v1/+/status", 1))
    first = await broker.client("dev-a", client_id="one", will=WILL)

    second = await broker.client("dev-a", client_id="two")

    await first.closed()
    await second.publish(STATUS, b"birth")
    assert [message.payload for message in await ingest.messages_until(b"birth")] == [b"offline"]


async def test_a_client_id_of_somebody_else_takes_nothing_over(broker: Face) -> None:
    victim = await broker.client("dev-a")

    await broker.client("dev-b", client_id="dev-a")

    await victim.ping()


async def test_no_message_is_lost_while_others_connect_and_subscribe(broker: Face) -> None:
    ingest = await broker.client("svc_ingest", clean=False)
    await ingest.subscribe(("pitada/v1/+/status", 1))
    device = await broker.client("dev-a")
    sending = True

    async def churn(number: int) -> None:
        user = f"churn-{number}"
        while sending:
            other = await broker.client(user)
            await other.subscribe((f"pitada/v1/{user}/config", 1))
            await other.subscribe((f"pitada/v1/{user}/status", 1))
            await other.leave()

    async def collect() -> list[bytes]:
        return [message.payload for message in await ingest.messages_until(b"last")]

    async with asyncio.TaskGroup() as group:
        collecting = group.create_task(collect())
        for number in range(4):
            group.create_task(churn(number))
        for number in range(1_000):
            await device.publish(STATUS, b"%d" % number)
        sending = False
        await device.publish(STATUS, b"last")

    assert collecting.result() == [b"%d" % number for number in range(1_000)]
