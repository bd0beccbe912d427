"""The tables of the messages describe them wholly: asked of the source, so on CPython only."""

import pytest

from protocol import fields, messages, topics
from protocol.fields import Int, Record

ALL = sorted(
    (
        value
        for value in vars(messages).values()
        if isinstance(value, type) and issubclass(value, Record) and value is not Record
    ),
    key=lambda record: record.__name__,
)


@pytest.mark.parametrize("record", ALL, ids=lambda record: record.__name__)
def test_the_table_names_exactly_the_typed_attributes(record: type[Record]) -> None:
    assert [field.name for field in record.FIELDS] == list(record.__annotations__)


@pytest.mark.parametrize("record", ALL, ids=lambda record: record.__name__)
def test_every_field_and_message_is_described(record: type[Record]) -> None:
    assert record.__doc__
    for field in record.FIELDS:
        assert field.doc, field.name
        if isinstance(field, Int) and field.name.rpartition("_")[2] in ("mg", "ms", "us"):
            assert field.unit == field.name.rpartition("_")[2]


@pytest.mark.parametrize("record", ALL, ids=lambda record: record.__name__)
def test_whole_numbers_fit_the_dispenser(record: type[Record]) -> None:
    for field in record.FIELDS:
        if isinstance(field, Int) and field.name not in ("ms", "uptime_ms", "outage_ms", "round_trip_ms"):
            assert -(2**30) <= field.low <= field.high < 2**30, field.name


def test_every_message_has_a_topic() -> None:
    on_topics = {channel.record for channel in topics.CHANNELS}
    within = {field.record for record in on_topics for field in record.FIELDS if isinstance(field, fields.Records)}
    assert on_topics | within == set(ALL)
