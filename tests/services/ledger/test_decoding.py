"""The fast way of reading a message accepts and refuses exactly what the protocol's own does."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol import codec
from protocol.fields import Field, Record, table
from protocol.limits import MAX_PAYLOAD_BYTES
from services.ledger import decoding
from tests.protocol.wire_values import RECORDS, json_of, of_earlier

each_record = pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.__name__)

# What no field or nearly none allows, and what JSON reads in more than one way.
ODD: st.SearchStrategy[Any] = st.sampled_from(
    [
        *(None, True, False, 0, 1, -1, 2**31, 2**70, -(2**70), 1.0, 1.5, float("nan"), float("inf")),
        *("", "1", "a" * 33, "é", "\0", "\x7f", "\ud800", "done", "a b", "\n", "a\n"),
        *([], {}, [1], [{}], {"a": 1}),
    ]
)


def outcome(decode: Any, record: type[Record], payload: bytes) -> object:
    try:
        return decode(record, payload)
    except codec.Malformed as error:
        return str(error)


def agree(record: type[Record], payload: bytes) -> None:
    expected = outcome(codec.decode, record, payload)
    got = outcome(decoding.decode, record, payload)
    assert got == expected
    if isinstance(got, record) and isinstance(expected, record):
        # Equal is not enough: 1.0 and True are equal to 1, a list is no tuple.
        assert repr(got) == repr(expected)
        assert vars(got).keys() == vars(expected).keys()


@each_record
@settings(max_examples=40)  # of each of the messages
@given(data=st.data())
def test_what_is_right_is_read_the_same_without_asking_the_codec(record: type[Record], data: st.DataObject) -> None:
    values = data.draw(json_of(record))
    for payload in (json.dumps(values).encode(), json.dumps(of_earlier(record, values)).encode()):
        agree(record, payload)
        decoding.compiled(record)[0].validate_json(payload)


@each_record
@settings(max_examples=40)  # of each of the messages
@given(data=st.data())
def test_what_is_wrong_in_one_place_is_refused_in_the_same_words(record: type[Record], data: st.DataObject) -> None:
    values = data.draw(json_of(record))
    changed = data.draw(st.sampled_from(_places(values)))
    holder: dict[str, Any] = values
    for step in changed[:-1]:
        holder = holder[step]
    if data.draw(st.booleans(), label="dropped"):
        del holder[changed[-1]]
    else:
        holder[changed[-1]] = data.draw(ODD)
    agree(record, json.dumps(values).encode())


@each_record
@settings(max_examples=40)  # of each of the messages
@given(data=st.data())
def test_bytes_that_were_cut_or_changed_are_judged_the_same(record: type[Record], data: st.DataObject) -> None:
    payload = bytearray(json.dumps(data.draw(json_of(record)), ensure_ascii=data.draw(st.booleans())).encode())
    place = data.draw(st.integers(0, len(payload) - 1))
    how = data.draw(st.sampled_from(["cut", "change", "insert"]))
    if how == "cut":
        del payload[place:]
    elif how == "change":
        payload[place] = data.draw(st.integers(0, 255))
    else:
        payload[place:place] = data.draw(
            st.sampled_from([b" ", b",", b"\xff", b"\\u0000", b'"', b"\xef\xbb\xbf", b"0"])
        )
    agree(record, bytes(payload))


@pytest.mark.parametrize(
    "payload",
    [
        b'{"from_seq":1,"from_seq":0}',
        b'{"from_seq":0,"from_seq":1}',
        b'{"from_seq":1,"later":NaN}',
        b'{"from_seq":1,"later":"\\ud800"}',
        b'{"from_seq":1} ',
        b'{"from_seq":1}x',
        b'{"from_seq":01}',
        b'{"from_seq":1e0}',
        b'{"from_seq":-0}',
        b'\xef\xbb\xbf{"from_seq":1}',
        b"[" * 4000,
        b'{"from_seq":1,"deep":' + b"[" * 1500 + b"]" * 1500 + b"}",
        b'{"from_seq":1,"n":' + b"9" * 4000 + b"}",
        b'{"from_seq":1,"pad":"' + b"a" * MAX_PAYLOAD_BYTES + b'"}',
        b"",
    ],
)
def test_corners_of_json_are_judged_the_same(payload: bytes) -> None:
    (record,) = [record for record in RECORDS if record.__name__ == "ResendCompletions"]
    agree(record, payload)


def test_a_kind_of_field_without_a_validator_is_named() -> None:
    class Newer(Record):
        FIELDS = table(Field("odd", "of a kind that nobody knows"))

    with pytest.raises(TypeError, match="no validator for Field"):
        decoding.decode(Newer, b"{}")


def _places(values: dict[str, Any]) -> list[tuple[Any, ...]]:
    places: list[tuple[Any, ...]] = [(name,) for name in values]
    for name, value in values.items():
        if isinstance(value, list):
            places += [(name, number, inner) for number, entry in enumerate(value) for inner in entry]
    return places
