"""A link to a real Mosquitto: it waits for the broker, acknowledges by hand, and says when the broker is lost."""

import asyncio
import base64
import hashlib
import select
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from pitada.local.mosquitto import LocalMosquitto, find_binary
from pitada.local.mosquitto import MosquittoFailed as Missing
from protocol import topics
from services.ingest import FILTERS
from services.mqtt import WAITING_MOST, Account, BrokerAddress, BrokerLost, Delivery, Link, Outgoing, connected
from tests.programs import absent

PASSWORD = "secret"
INGEST = Account("svc_ingest", PASSWORD)
DEVICE = Account("kitchen", PASSWORD)
TOPIC = topics.ACCEPT.topic("kitchen")
SALT = b"twelve bytes"
HASHED = hashlib.pbkdf2_hmac("sha512", PASSWORD.encode(), SALT, 101)
HASH = f"$7$101${base64.b64encode(SALT).decode()}${base64.b64encode(HASHED).decode()}"


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[LocalMosquitto]:
    try:
        find_binary()
    except Missing as missing:
        absent(str(missing))
    broker = LocalMosquitto(tmp_path / "broker", {"svc_ingest": HASH, "kitchen": HASH})
    broker.start()
    yield broker
    if broker.pid is not None:
        broker.stop()


def at(broker: LocalMosquitto) -> BrokerAddress:
    return BrokerAddress(broker.host, broker.port)


async def say(broker: LocalMosquitto, *payloads: bytes, topic: str = TOPIC, qos: int = 1) -> None:
    async with connected(at(broker), DEVICE) as link:
        await link.publish([Outgoing(topic, payload, qos, False) for payload in payloads])


async def hear(link: Link, count: int, most: int = 1000) -> list[Delivery]:
    heard: list[Delivery] = []
    async with asyncio.timeout(20):
        while len(heard) < count:
            heard += await link.batch(most)
    return heard


def payloads(batch: list[Delivery]) -> list[bytes]:
    return [delivery.payload for delivery in batch]


async def test_it_waits_for_a_broker_that_is_not_there_yet(mosquitto: LocalMosquitto) -> None:
    mosquitto.stop()
    opened = asyncio.Event()

    async def connect() -> None:
        async with connected(at(mosquitto), INGEST):
            opened.set()

    waiting = asyncio.create_task(connect())
    refused = asyncio.create_task(asyncio.wait_for(opened.wait(), 0.3))
    with pytest.raises(TimeoutError):
        await refused
    await asyncio.to_thread(mosquitto.start)
    await asyncio.wait_for(waiting, 20)
    assert opened.is_set()


async def test_messages_come_in_order_and_at_most_as_many_as_asked(mosquitto: LocalMosquitto) -> None:
    sent = [b"%d" % number for number in range(250)]
    async with connected(at(mosquitto), INGEST, persistent=True, manual_ack=True) as link:
        await link.subscribe(FILTERS)
        await say(mosquitto, *sent)
        first = await hear(link, 1, most=7)
        assert len(first) <= 7
        rest = await hear(link, 250 - len(first))
        link.ack(first + rest)
    assert payloads(first + rest) == sent
    assert {(delivery.topic, delivery.qos, delivery.retained) for delivery in rest} == {(TOPIC, 1, False)}


async def test_what_was_not_acknowledged_comes_again_and_what_was_does_not(mosquitto: LocalMosquitto) -> None:
    async with connected(at(mosquitto), INGEST, persistent=True, manual_ack=True) as link:
        await link.subscribe(FILTERS)
        await say(mosquitto, b"1", b"2", b"3", b"4")
        heard = await hear(link, 4)
        link.ack(heard[:2])
    async with connected(at(mosquitto), INGEST, persistent=True, manual_ack=True) as link:
        again = await hear(link, 2)
        assert payloads(again) == [b"3", b"4"]
        await say(mosquitto, b"5")
        assert payloads(await hear(link, 1)) == [b"5"]


async def test_without_manual_acknowledgement_a_message_comes_once(mosquitto: LocalMosquitto) -> None:
    async with connected(at(mosquitto), INGEST, persistent=True) as link:
        await link.subscribe(FILTERS)
        await say(mosquitto, b"1")
        assert payloads(await hear(link, 1)) == [b"1"]
    async with connected(at(mosquitto), INGEST, persistent=True) as link:
        await say(mosquitto, b"2")
        assert payloads(await hear(link, 1)) == [b"2"]


async def test_what_an_earlier_connection_brought_cannot_be_acknowledged(mosquitto: LocalMosquitto) -> None:
    async with connected(at(mosquitto), INGEST, persistent=True, manual_ack=True) as link:
        await link.subscribe(FILTERS)
        await say(mosquitto, b"1")
        stale = await hear(link, 1)
    async with connected(at(mosquitto), INGEST, persistent=True, manual_ack=True) as link:
        again = await hear(link, 1)
        with pytest.raises(BrokerLost, match="earlier connection"):
            link.ack(stale)
        assert payloads(again) == [b"1"]


async def test_a_thousand_publishes_all_arrive(mosquitto: LocalMosquitto) -> None:
    sent = [b"%d" % number for number in range(1500)]
    async with connected(at(mosquitto), INGEST, persistent=True, manual_ack=True) as link:
        await link.subscribe(FILTERS)
        await say(mosquitto, *sent)
        assert payloads(await hear(link, 1500)) == sent


async def test_what_is_not_taken_is_left_to_the_broker_and_nothing_is_lost(mosquitto: LocalMosquitto) -> None:
    count = 6 * WAITING_MOST
    sent = [b"%06d" % number for number in range(count)]
    async with connected(at(mosquitto), INGEST, persistent=True, manual_ack=True) as link:
        await link.subscribe(FILTERS)
    await say(mosquitto, *sent)
    async with connected(at(mosquitto), INGEST, persistent=True, manual_ack=True) as link:
        heard = await link.batch(100)
        # From its first PUBACK on Mosquitto sends all that it has.
        link.ack(heard)
        most = await waiting_when_full(link)
        async with asyncio.timeout(60):
            while len(heard) < count:
                batch = await link.batch(100)
                link.ack(batch)
                await link.publish([Outgoing(topics.RECEIPT.topic("kitchen"), one.payload, 1, False) for one in batch])
                heard += batch
                await asyncio.sleep(0)
                most = max(most, link.waiting)
    assert payloads(heard) == sent
    # One portion that was being read may come on top.
    assert WAITING_MOST <= most < WAITING_MOST + 10_000


async def waiting_when_full(link: Link) -> int:
    """How many wait when there is more to read and the link leaves it to the kernel."""
    async with asyncio.timeout(20):
        while link.waiting < WAITING_MOST or not select.select([link._client.stream], [], [], 0)[0]:
            await asyncio.sleep(0.001)
    waiting = link.waiting
    for _turn in range(10):
        await asyncio.sleep(0)
    assert link.waiting == waiting
    return waiting


async def test_small_packets_are_sent_at_once(mosquitto: LocalMosquitto) -> None:
    """Else the kernel holds a receipt back, for 40 ms, until the packet before it is confirmed."""
    async with connected(at(mosquitto), INGEST) as link:
        sock = link._client.stream._sock
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1


async def test_telemetry_arrives_with_qos_0(mosquitto: LocalMosquitto) -> None:
    async with connected(at(mosquitto), INGEST, persistent=True, manual_ack=True) as link:
        await link.subscribe(FILTERS)
        await say(mosquitto, b"{}", topic=topics.TELEMETRY.topic("kitchen"), qos=0)
        (heard,) = await hear(link, 1)
        link.ack([heard])
    assert heard.qos == 0


async def test_a_killed_broker_is_noticed_by_who_waits_and_by_who_speaks(mosquitto: LocalMosquitto) -> None:
    async with connected(at(mosquitto), INGEST, persistent=True, manual_ack=True) as link:
        await link.subscribe(FILTERS)
        await say(mosquitto, b"1")
        heard = await hear(link, 1)
        waiting = asyncio.create_task(link.batch(10))
        mosquitto.kill()
        with pytest.raises(BrokerLost):
            await asyncio.wait_for(waiting, 20)
        with pytest.raises(BrokerLost):
            link.ack(heard)
        with pytest.raises(BrokerLost):
            await link.publish([])


async def test_a_wrong_password_is_heard_by_who_asks(mosquitto: LocalMosquitto) -> None:
    refusals: list[str] = []
    heard = asyncio.Event()

    def refused(why: str) -> None:
        refusals.append(why)
        heard.set()

    async def sign_in() -> None:
        async with connected(at(mosquitto), Account("kitchen", "wrong"), on_refusal=refused):
            pass

    trying = asyncio.create_task(sign_in())
    async with asyncio.timeout(20):
        await heard.wait()
    trying.cancel()
    await asyncio.gather(trying, return_exceptions=True)
    assert "uthori" in refusals[0]
