"""The MQTT session: who is there, who is gone, and when to try again."""

import random

import pytest

from firmware.core import packets
from firmware.core.backoff import CROWD_CEILING_MS, FIRST_CEILING_MS, REFUSED_WAIT_MS
from firmware.core.packets import Puback, Publish, Suback
from firmware.core.ports import Connect, Disconnect, Port, Send
from firmware.core.session import (
    ANSWER_TIMEOUT_MS,
    CONNECT_TIMEOUT_MS,
    MAX_HELD,
    SILENCE_MS,
    Session,
)
from protocol import topics

CONNACK = b"\x20\x02\x00\x00"
SUBACK = b"\x90\x09\x00\x01" + b"\x01" * 7


def new_session(seed: int = 1) -> Session:
    session = Session("dev-1", "secret", random.Random(seed).getrandbits)
    session.start(0)
    return session


def take_all(session: Session, now_ms: int, data: bytes) -> tuple[list[object], list[Port]]:
    out: list[Port] = []
    session.feed(now_ms, data)
    found: list[object] = []
    while (packet := session.take(now_ms, out)) is not None:
        found.append(packet)
    return found, out


def linked(seed: int = 1) -> Session:
    session = new_session(seed)
    session.connect(1000, [])
    session.next_connection()
    session.linked(1000, "will", b"gone", [])
    return session


def online(seed: int = 1) -> Session:
    session = linked(seed)
    take_all(session, 1000, CONNACK + SUBACK)
    assert session.is_online()
    return session


def sends(out: list[Port]) -> list[bytes]:
    return [order.data for order in out if isinstance(order, Send)]


def test_the_first_attempt_waits_its_turn_within_a_second() -> None:
    session = new_session()
    out: list[Port] = []
    session.connect(0, out)
    assert out == []
    assert 0 < session.wake_at_ms() <= 1000
    session.connect(session.wake_at_ms(), out)
    assert out == [Connect()]
    session.connect(session.wake_at_ms(), out)
    assert out == [Connect()]


def test_connected_means_that_the_broker_accepted_us_and_our_subscriptions() -> None:
    session = linked()
    assert not session.is_online()
    found, out = take_all(session, 1000, CONNACK)
    assert found == []
    assert not session.is_online()
    (subscribe,) = sends(out)
    for channel in ("status", "job/offer", "job/cancel", "job/receipt", "job/resend", "config", "firmware"):
        assert f"pitada/v1/dev-1/{channel}\x01".encode() in subscribe
    found, _out = take_all(session, 1000, SUBACK)
    assert isinstance(found[0], Suback)
    assert session.is_online()
    assert session.connects == 1


def test_session_present_is_accepted() -> None:
    session = linked()
    take_all(session, 1000, b"\x20\x02\x01\x00" + SUBACK)
    assert session.is_online()


@pytest.mark.parametrize("code", [1, 2, 4, 5])
def test_a_lasting_refusal_waits_a_minute_or_more(code: int) -> None:
    session = linked()
    _found, out = take_all(session, 1000, bytes([0x20, 2, 0, code]))
    assert Disconnect() in out
    assert session.wake_at_ms() >= 1000 + REFUSED_WAIT_MS


def test_a_busy_broker_is_tried_again_soon() -> None:
    session = linked()
    take_all(session, 1000, b"\x20\x02\x00\x03")
    assert session.wake_at_ms() <= 1000 + 4000


def test_a_refused_subscription_is_no_connection() -> None:
    session = linked()
    _found, out = take_all(session, 1000, CONNACK + b"\x90\x09\x00\x01" + b"\x01" * 6 + b"\x80")
    assert Disconnect() in out
    assert not session.is_online()


@pytest.mark.parametrize("data", [SUBACK, b"\xd0\x00", b"\x40\x02\x00\x01", b"\x30\x03\x00\x01t"])
def test_anything_before_connack_ends_the_connection(data: bytes) -> None:
    _found, out = take_all(linked(), 1000, data)
    assert Disconnect() in out


def test_a_second_connack_ends_the_connection() -> None:
    _found, out = take_all(online(), 1000, CONNACK)
    assert Disconnect() in out


def test_a_malformed_packet_ends_the_connection_and_what_follows_is_not_read() -> None:
    session = online()
    found, out = take_all(session, 1000, b"\xf0\x00" + b"\x30\x03\x00\x01t")
    assert found == []
    assert out[0] == Disconnect()
    assert not session.is_online()
    assert take_all(session, 1000, b"\x30\x03\x00\x01t") == ([], [])


def test_one_publish_is_on_its_way_until_its_own_puback() -> None:
    session = online()
    out: list[Port] = []
    assert session.can_publish()
    session.publish(2000, "t", b"x", False, out)
    assert not session.can_publish()
    packet_id = sends(out)[0][5:7]
    found, _out = take_all(session, 2010, b"\x40\x02\x7f\x7f")
    assert found == []
    assert not session.can_publish()
    found, _out = take_all(session, 2050, b"\x40\x02" + packet_id)
    assert isinstance(found[0], Puback)
    assert session.can_publish()
    assert session.round_trip_ms == 50


def test_a_publish_without_puback_ends_the_connection() -> None:
    session = online()
    session.publish(2000, "t", b"x", False, [])
    take_all(session, 2000 + ANSWER_TIMEOUT_MS - 1, b"\xd0\x00")
    out: list[Port] = []
    session.tick(2000 + ANSWER_TIMEOUT_MS, out)
    assert out[0] == Disconnect()


def test_a_stream_that_does_not_open_is_given_up() -> None:
    session = new_session()
    session.connect(1000, [])
    assert session.wake_at_ms() == 1000 + CONNECT_TIMEOUT_MS
    out: list[Port] = []
    session.tick(1000 + CONNECT_TIMEOUT_MS, out)
    assert out[0] == Disconnect()


def test_a_broker_that_never_says_connack_or_suback_is_given_up() -> None:
    for greeting in (b"", CONNACK):
        session = linked()
        take_all(session, 1000, greeting)
        out: list[Port] = []
        session.tick(1000 + ANSWER_TIMEOUT_MS, out)
        assert out[0] == Disconnect()


def test_silence_is_pinged_twice_and_then_is_the_end() -> None:
    session = online()
    out: list[Port] = []
    now_ms = 1000
    while session.is_online():
        now_ms = session.wake_at_ms()
        session.tick(now_ms, out)
    assert sends(out) == [packets.PINGREQ, packets.PINGREQ]
    assert now_ms == 1000 + SILENCE_MS


def test_a_broker_that_only_listens_is_pinged_too() -> None:
    session = online()
    out: list[Port] = []
    for now_ms in range(2000, 40_000, 1000):
        session.publish_once(now_ms, "t", b"x", False, out)
        session.tick(now_ms, out)
    assert packets.PINGREQ in sends(out)


def test_acknowledgements_wait_for_flash_and_die_with_the_connection() -> None:
    session = online()
    out: list[Port] = []
    session.acknowledge(1000, 7, 3, out)
    session.acknowledge(1000, 8, 4, out)
    session.acknowledge(1000, 9, 0, out)
    session.acknowledge(1000, 0, 0, out)
    assert sends(out) == [packets.puback(9)]
    session.release(1000, 3, out)
    assert sends(out) == [packets.puback(9), packets.puback(7)]
    session.lost(1000)
    session.release(1000, 4, out)
    assert len(out) == 2


def test_held_acknowledgements_are_bounded() -> None:
    session = online()
    out: list[Port] = []
    for packet_id in range(1, MAX_HELD + 3):
        session.acknowledge(1000, packet_id, 5, out)
    assert sends(out) == [packets.puback(MAX_HELD + 1), packets.puback(MAX_HELD + 2)]


def test_messages_are_handed_on() -> None:
    session = online()
    found, _out = take_all(session, 1000, b"\x32\x07\x00\x01t\x00\x09hi")
    assert isinstance(found[0], Publish)
    assert (found[0].topic, found[0].payload, found[0].packet_id) == ("t", b"hi", 9)


def test_leaving_says_disconnect_and_comes_back_a_second_later() -> None:
    session = online()
    out: list[Port] = []
    session.leave(1200, out)
    assert out == [Send(packets.DISCONNECT), Disconnect()]
    assert session.wake_at_ms() == 2000


def test_time_without_a_broker_is_counted() -> None:
    session = online()
    assert session.outage_ms(5000) == 1000
    session.lost(6000)
    assert session.outage_ms(9000) == 4000


def test_packet_ids_come_round_without_zero() -> None:
    session = online()
    session._last_id = 0xFFFE
    ids = []
    for _ in range(3):
        out: list[Port] = []
        session.publish(2000, "t", b"", False, out)
        ids.append(sends(out)[0][5:7])
        take_all(session, 2000, b"\x40\x02" + ids[-1])
    assert ids == [b"\xff\xff", b"\x00\x01", b"\x00\x02"]


def test_it_subscribes_to_what_the_access_rules_allow() -> None:
    _found, out = take_all(linked(), 1000, CONNACK)
    assert topics.CONFIG.topic("dev-1").encode() in sends(out)[0]
    assert b"stock" not in sends(out)[0]


def longest_wait_ms(by_broker: bool) -> int:
    """Of a hundred dispensers that lose their first session at 2,000 ms, before any message was acknowledged."""
    waits = []
    for seed in range(100):
        session = online(seed)
        session.lost(2000, by_broker)
        waits.append(session.wake_at_ms() - 2000)
    return max(waits)


def test_a_session_that_the_broker_ended_waits_its_turn_among_ten_thousand() -> None:
    ended_ms = longest_wait_ms(by_broker=True)
    assert CROWD_CEILING_MS * 9 // 10 < ended_ms <= CROWD_CEILING_MS


def test_a_session_that_the_network_ended_comes_back_in_a_second_or_two() -> None:
    assert longest_wait_ms(by_broker=False) <= 2 * FIRST_CEILING_MS


def test_a_broker_that_closes_the_stream_before_it_let_us_in_is_a_failed_attempt() -> None:
    session = linked()
    session.lost(2000, by_broker=True)
    assert session.wake_at_ms() <= 2000 + 2 * FIRST_CEILING_MS
