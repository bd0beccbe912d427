"""Framing and parsing; what a whole broker does with malformed packets is in `contract/test_bytes.py`."""

import pytest

from broker.packets import parse_connect, parse_subscribe
from protocol.packets import Framer, Malformed
from tests.broker.conftest import connect_bytes, subscribe_bytes


def test_a_connect_is_read_with_its_will() -> None:
    ((_, body),) = Framer(1_000).feed(connect_bytes("dev-a", b"secret", clean=False, will=("t", b"\xff", 1, True)))

    connect = parse_connect(body)

    assert (connect.user, connect.password, connect.clean, connect.keepalive_s) == ("dev-a", b"secret", False, 60)
    assert connect.will is not None
    assert (connect.will.topic, connect.will.payload, connect.will.qos, connect.will.retain) == ("t", b"\xff", 1, True)


def test_every_shortened_or_lengthened_connect_and_subscribe_is_malformed() -> None:
    ((_, connect),) = Framer(1_000).feed(connect_bytes("dev-a", will=("t", b"w", 1, True)))
    ((_, subscribe),) = Framer(1_000).feed(subscribe_bytes(("a/b", 1), ("c", 0)))
    # After its first filter and QoS a SUBSCRIBE may end.
    complete = {len(subscribe), 2 + 2 + 3 + 1}

    for size in range(len(connect)):
        with pytest.raises(Malformed):
            parse_connect(connect[:size])
    for size in set(range(len(subscribe))) - complete:
        with pytest.raises(Malformed):
            parse_subscribe(subscribe[:size])
    for read, body in ((parse_connect, connect), (parse_subscribe, subscribe)):
        with pytest.raises(Malformed):
            read(body + b"x")


def test_a_password_that_is_not_utf_8_is_malformed() -> None:
    ((_, body),) = Framer(1_000).feed(connect_bytes("dev-a", b"\xff\xfe"))

    with pytest.raises(Malformed):
        parse_connect(body)
