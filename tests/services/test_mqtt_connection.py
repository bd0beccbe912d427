"""Bytes from a broker become messages however they are cut; the buffer is bounded and ends with the connection."""

import asyncio
from collections.abc import Sequence

import pytest

from services import mqtt_connection
from services.mqtt_connection import BrokerLost, Connection, Delivery, Outgoing
from services.mqtt_packets import DISCONNECT, publish

TOPIC = "pitada/v1/kitchen/job/accept"


class Wire(asyncio.Transport):
    """A transport that keeps what was written."""

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self.written = b""
        self.reading = True
        self.aborted = False
        self._connection = connection
        connection.connection_made(self)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data
        if data == DISCONNECT:
            asyncio.get_running_loop().call_soon(self._connection.connection_lost, None)

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def abort(self) -> None:
        self.aborted = True


def messages(count: int, qos: int = 1, first: int = 1) -> bytes:
    return b"".join(publish(TOPIC, b"%d" % mid, mid * qos, retained=False) for mid in range(first, first + count))


def mids(batch: Sequence[Delivery]) -> list[int]:
    return [delivery.mid for delivery in batch]


async def test_messages_cut_at_every_byte_arrive_whole() -> None:
    big = publish(TOPIC, b"x" * 300, 7, retained=True) + publish(TOPIC, b"y" * 20_000, 8, retained=False)
    stream = messages(2) + b"\xd0\x00" + big + messages(1, qos=0)
    whole = Connection()
    Wire(whole)
    whole.data_received(stream)
    expected = [one._replace(connection=0) for one in await whole.take(100)]
    assert [(one.mid, one.qos, one.retained, len(one.payload)) for one in expected] == [
        (1, 1, False, 1),
        (2, 1, False, 1),
        (7, 1, True, 300),
        (8, 1, False, 20_000),
        (0, 0, False, 1),
    ]
    for size in (1, 2, 3, 127, 1000):
        cut = Connection()
        Wire(cut)
        for start in range(0, len(stream), size):
            cut.data_received(stream[start : start + size])
        assert [one._replace(connection=0) for one in await cut.take(100)] == expected


async def test_a_batch_is_acknowledged_in_one_write_in_order() -> None:
    connection = Connection()
    wire = Wire(connection)
    connection.data_received(messages(3) + messages(1, qos=0))
    connection.acknowledge(await connection.take(10))
    assert wire.written == b"\x40\x02\x00\x01\x40\x02\x00\x02\x40\x02\x00\x03"


async def test_telemetry_over_the_bound_is_dropped_and_counted_and_the_rest_is_not() -> None:
    connection = Connection()
    Wire(connection)
    most = mqtt_connection.MOST_TELEMETRY
    connection.data_received(messages(most + 5, qos=0) + messages(1))
    assert connection.telemetry_dropped == 5
    assert mids(await connection.take(most + 10)) == [0] * most + [1]


async def test_reading_stops_while_the_buffer_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mqtt_connection, "MOST_BUFFERED", 10)
    connection = Connection()
    wire = Wire(connection)
    connection.data_received(messages(9))
    readings = [wire.reading]
    connection.data_received(messages(1, first=10))
    readings.append(wire.reading)
    assert mids(await connection.take(5)) == [1, 2, 3, 4, 5]
    readings.append(wire.reading)
    await connection.take(1)
    readings.append(wire.reading)
    assert readings == [True, False, False, True]


async def test_publishing_waits_for_the_broker_and_listens_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mqtt_connection, "MOST_UNANSWERED", 2)
    monkeypatch.setattr(mqtt_connection, "MOST_BUFFERED", 1)
    connection = Connection()
    wire = Wire(connection)
    connection.data_received(messages(1))
    readings = [wire.reading]
    some = [Outgoing(TOPIC, b"%d" % number, 1, False) for number in range(3)]
    publishing = asyncio.create_task(connection.publish(some))
    await asyncio.sleep(0)
    readings.append(wire.reading)
    assert not publishing.done()
    assert wire.written == publish(TOPIC, b"0", 1, retained=False) + publish(TOPIC, b"1", 2, retained=False)
    connection.data_received(messages(1, first=2) + b"\x40\x02\x00\x01")
    await asyncio.wait_for(publishing, 5)
    readings.append(wire.reading)
    assert readings == [False, True, False]
    assert mids(await connection.take(5)) == [1, 2]


async def test_what_arrived_is_dropped_when_the_connection_ends() -> None:
    connection = Connection()
    Wire(connection)
    connection.data_received(messages(3))
    (taken,) = await connection.take(1)
    connection.connection_lost(ConnectionResetError("cut"))
    with pytest.raises(BrokerLost, match="cut"):
        await connection.take(10)
    with pytest.raises(BrokerLost):
        connection.acknowledge([taken])


async def test_what_another_connection_brought_is_not_acknowledged_whatever_its_number() -> None:
    old, new = Connection(), Connection()
    Wire(old)
    wire = Wire(new)
    for connection in (old, new):
        connection.data_received(messages(1))
    with pytest.raises(BrokerLost, match="earlier connection"):
        new.acknowledge(await old.take(1))
    assert wire.written == b""


@pytest.mark.parametrize(
    "bytes_sent",
    [
        b"\x30\xff\xff\xff\xff\x01",
        b"\x30\xff\xff\xff\x01",
        b"\x30\x03\x00\x05abcdefgh",
        b"\xf0\x00",
        b"\x32\x02\x00\x09",
        b"\x40\x00",
        b"\x30\x04\x00\x02\xff\xff",
    ],
)
async def test_what_is_no_mqtt_ends_the_connection(bytes_sent: bytes) -> None:
    connection = Connection()
    wire = Wire(connection)
    connection.data_received(bytes_sent)
    assert wire.aborted
    with pytest.raises(BrokerLost, match="no MQTT"):
        await connection.take(1)


async def test_leaving_says_so_and_ends_what_waits() -> None:
    connection = Connection()
    wire = Wire(connection)
    waiting = asyncio.create_task(connection.take(1))
    await asyncio.sleep(0)
    await connection.close()
    assert wire.written == DISCONNECT
    with pytest.raises(BrokerLost, match="left"):
        await waiting
