"""The codec takes exactly what the tables say, and says what is wrong with everything else."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import codec, messages
from protocol.fields import Record, Text
from protocol.limits import MAX_PAYLOAD_BYTES
from tests.protocol.wire_values import RECORDS, json_of, of_earlier


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.__name__)
@given(data=st.data())
def test_what_decodes_encodes_to_the_same_values(record: type[Record], data: st.DataObject) -> None:
    values = data.draw(json_of(record))
    message = codec.decode(record, json.dumps(values).encode())
    assert json.loads(codec.encode(message)) == values
    assert codec.decode(record, codec.encode(message)) == message


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.__name__)
@given(data=st.data())
def test_a_peer_of_an_earlier_release_is_understood(record: type[Record], data: st.DataObject) -> None:
    values = of_earlier(record, data.draw(json_of(record)))
    message = codec.decode(record, json.dumps(values).encode())
    assert of_earlier(record, message.values()) == values
    for field in record.FIELDS:
        assert not field.optional or getattr(message, field.name) is None


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.__name__)
@given(payload=st.binary(max_size=300))
def test_any_bytes_decode_or_are_malformed(record: type[Record], payload: bytes) -> None:
    try:
        message = codec.decode(record, payload)
    except codec.Malformed:
        return
    assert codec.decode(record, codec.encode(message)) == message


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.__name__)
@given(data=st.data())
def test_one_wrong_field_is_named(record: type[Record], data: st.DataObject) -> None:
    values = data.draw(json_of(record))
    field = data.draw(st.sampled_from(record.FIELDS))
    values[field.name] = data.draw(st.sampled_from([1.5, "\x00", -(10**12), {"a": 1}, [1, [2]]]))
    with pytest.raises(codec.Malformed, match=field.name):
        codec.decode(record, json.dumps(values).encode())


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"[1]", "expected an object"),
        (b"null", "expected an object"),
        (b'"from_seq"', "expected an object"),
        (b'{"from_seq":true}', "expected integer"),
        (b'{"from_seq":1.0}', "expected integer"),
        (b'{"from_seq":NaN}', "(expected integer|not JSON)"),  # MicroPython knows no NaN
        (b'{"from_seq":"1"}', "expected integer"),
        (b'{"from_seq":0}', "1 to 1000000000"),
        (b'{"from_seq":1000000001}', "1 to 1000000000"),
        (b"{}", "from_seq is missing"),
        (b'\xff\xfe{"from_seq":1}', "not JSON in UTF-8"),
        (b"\xff\xfe{\x00}\x00", "not JSON in UTF-8"),
        (b"[" * MAX_PAYLOAD_BYTES, "not JSON"),
        (b" " * (MAX_PAYLOAD_BYTES + 1), "the limit is 4096"),
    ],
)
def test_the_reason_says_what_is_wrong(payload: bytes, reason: str) -> None:
    with pytest.raises(codec.Malformed, match=reason):
        codec.decode(messages.ResendCompletions, payload)


def test_fields_that_a_newer_peer_added_are_ignored() -> None:
    assert codec.decode(messages.ResendCompletions, b'{"from_seq":7,"since":"v2"}').from_seq == 7


def test_the_largest_messages_fit() -> None:
    report = messages.ItemReport(
        item=0, flask=16, state="failed", target_mg=10_000_000, dispensed_mg=20_000_000, duration_ms=1_200_000,
        error="not_calibrated",
    )  # fmt: skip
    items = tuple(messages.ItemReport(**dict(report.values(), item=item)) for item in range(16))  # type: ignore[arg-type]  # plain values
    completion = messages.JobCompleted(
        job="j" * 32, seq=10**9, state="failed", items=items, epoch="e" * 16, boot=10**9, ms=10**13
    )
    flask = messages.FlaskConfig(
        flask=16, flow_mg_per_s=1_000_000, max_open_ms=600_000, channel=15, closed_us=2500, open_us=2500,
        settle_ms=10_000,
    )  # fmt: skip
    assert len(codec.encode(completion)) < MAX_PAYLOAD_BYTES
    assert len(codec.encode(messages.ConfigureDispenser(version=10**9, flasks=(flask,) * 16))) < MAX_PAYLOAD_BYTES


def test_too_large_a_message_is_not_encoded() -> None:
    class Wide(Record):
        text: str
        FIELDS = (Text("text", 0, 5000, "", "anything"),)

    with pytest.raises(codec.Malformed, match="limit"):
        codec.encode(Wide(text="x" * 4096))
