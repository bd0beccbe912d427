"""Every valid JSON form of every message, for hypothesis, from the field tables."""

from typing import Any

from hypothesis import strategies as st

from protocol import topics
from protocol.fields import Choice, Field, Flag, Int, Record, Records, Text
from protocol.states import job_outcome

RECORDS = [channel.record for channel in topics.CHANNELS]
PRINTABLE = st.characters(min_codepoint=0x20, exclude_characters="\x7f", exclude_categories=["Cs"])


def values_of(field: Field) -> st.SearchStrategy[Any]:
    """Every value that the field allows."""
    strategy: st.SearchStrategy[Any]
    if isinstance(field, Int):
        strategy = st.integers(field.low, field.high)
    elif isinstance(field, Text):
        strategy = st.text(field.chars or PRINTABLE, min_size=field.low, max_size=field.high)
    elif isinstance(field, Flag):
        strategy = st.booleans()
    elif isinstance(field, Choice):
        strategy = st.sampled_from(field.choices)
    elif isinstance(field, Records):
        strategy = st.lists(json_of(field.record), min_size=field.low, max_size=min(field.high, 3))
    else:
        raise AssertionError(field)
    return st.none() | strategy if field.null else strategy


def json_of(record: type[Record]) -> st.SearchStrategy[dict[str, Any]]:
    """Every valid JSON form: each field's bounds, and the rules that join several fields."""
    values = st.fixed_dictionaries({field.name: values_of(field) for field in record.FIELDS})
    return values.map(joined)


def of_earlier(record: type[Record], values: dict[str, Any]) -> dict[str, Any]:
    """The same from a peer of an earlier release: without the optional fields."""
    kept = {field.name: values[field.name] for field in record.FIELDS if not field.optional}
    for field in record.FIELDS:
        if isinstance(field, Records):
            kept[field.name] = [of_earlier(field.record, one) for one in values[field.name]]
    return kept


def joined(values: dict[str, Any]) -> dict[str, Any]:
    if "items" in values and "state" in values:
        for position, item in enumerate(values["items"]):
            item["item"] = position
        values["state"] = job_outcome([item["state"] for item in values["items"]])
    elif "dispensed_mg" in values:
        known = values["state"] in ("done", "failed")
        values["dispensed_mg"] = (values["dispensed_mg"] or 0) if known else None
    return values
