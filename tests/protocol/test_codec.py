"""The codec takes exactly what the tables say, and says what is wrong with everything else."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import codec, messages, topics
from protocol.fields import Choice, Field, Flag, Int, Record, Records, Text
from protocol.limits import MAX_PAYLOAD_BYTES
from protocol.states import job_outcome

RECORDS = [channel.record for channel in topics.CHANNELS]
PRINTABLE = st.characters(min_codepoint=0x20, exclude_characters="\x7f", exclude_categories=["Cs"])


def values_of(field: Field) -> st.SearchStrategy[Any]:
    """Every value that the field allows."""
    strategy: st.SearchStrategy[Any]
    match field:
        case Int():
            strategy = st.integers(field.low, field.high)
        case Text():
            strategy = st.text(field.chars or PRINTABLE, min_size=field.low, max_size=field.high)
        case Flag():
            strategy = st.booleans()
        case Choice():
            strategy = st.sampled_from(field.choices)
        case Records():
            strategy = st.lists(json_of(field.record), min_size=field.low, max_size=min(field.high, 3))
        case _:
            raise AssertionError(field)
    return st.none() | strategy if field.null else strategy


def json_of(record: type[Record]) -> st.SearchStrategy[dict[str, Any]]:
    """Every valid JSON form: each field's bounds, and the rules that join several fields."""
    values = st.fixed_dictionaries({field.name: values_of(field) for field in record.FIELDS})
    return values.map(joined)


def joined(values: dict[str, Any]) -> dict[str, Any]:
    if "items" in values and "state" in values:
        for position, item in enumerate(values["items"]):
            item["item"] = position
        values["state"] = job_outcome([item["state"] for item in values["items"]])
    elif "dispensed_mg" in values:
        known = values["state"] in ("done", "failed")
        values["dispensed_mg"] = (values["dispensed_mg"] or 0) if known else None
    return values


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.__name__)
@given(data=st.data())
def test_what_decodes_encodes_to_the_same_values(record: type[Record], data: st.DataObject) -> None:
    values = data.draw(json_of(record))
    message = codec.decode(record, json.dumps(values).encode())
    assert json.loads(codec.encode(message)) == values
    assert codec.decode(record, codec.encode(message)) == message


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
        (b'{"from_seq":NaN}', "expected integer"),
        (b'{"from_seq":"1"}', "expected integer"),
        (b'{"from_seq":0}', "1 to 1000000000"),
        (b'{"from_seq":1000000001}', "1 to 1000000000"),
        (b"{}", "from_seq is missing"),
        (b'\xff\xfe{"from_seq":1}', "not JSON in UTF-8"),
        ('{"from_seq":1}'.encode("utf-16"), "not JSON in UTF-8"),
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
    items = tuple(messages.ItemReport(**{**report.values(), "item": item}) for item in range(16))  # type: ignore[arg-type]  # plain values
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
