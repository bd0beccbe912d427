"""`protocol.codec.decode`, several times as fast for a message that is what it should be.

A validator in Rust is built from the field tables of `protocol.messages`, which stay the only definition. It has only
the right to accept: whatever it does not, `protocol.codec` decides and words, so both refuse exactly the same.
"""

from typing import cast

from pydantic_core import CoreSchema, SchemaValidator, ValidationError, core_schema

from protocol import codec
from protocol.fields import BadValue, Choice, Field, Flag, Int, R, Record, Records, Text
from protocol.limits import MAX_PAYLOAD_BYTES


def decode(record: type[R], payload: bytes) -> R:
    """The message in `payload`. Raises `codec.Malformed` for anything that is not exactly that."""
    if len(payload) <= MAX_PAYLOAD_BYTES:
        validator, lists = _known.get(record) or compiled(record)
        try:
            message = validator.validate_json(payload)
            # The rules that join several fields are the record's own.
            for name in lists:
                for entry in getattr(message, name):
                    entry.check()
            message.check()
            return cast(R, message)
        except (ValidationError, BadValue):
            pass
    return codec.decode(record, payload)


Compiled = tuple[SchemaValidator, tuple[str, ...]]

# One for each message of the protocol.
_known: dict[type[Record], Compiled] = {}


def compiled(record: type[Record]) -> Compiled:
    """The validator of a record, made once, and which of its fields are lists of records."""
    if record not in _known:
        lists = tuple(field.name for field in record.FIELDS if isinstance(field, Records))
        _known[record] = (SchemaValidator(_record(record)), lists)
    return _known[record]


def _record(record: type[Record]) -> CoreSchema:
    fields = [core_schema.dataclass_field(name=field.name, schema=_present(field)) for field in record.FIELDS]
    return core_schema.dataclass_schema(
        record,
        core_schema.dataclass_args_schema(record.__name__, fields, extra_behavior="ignore"),
        [field.name for field in record.FIELDS],
        strict=True,
    )


def _present(field: Field) -> CoreSchema:
    return core_schema.with_default_schema(_nullable(field), default=None) if field.optional else _nullable(field)


def _nullable(field: Field) -> CoreSchema:
    return core_schema.nullable_schema(_value(field)) if field.null else _value(field)


def _value(field: Field) -> CoreSchema:
    if isinstance(field, Int):
        return core_schema.int_schema(strict=True, ge=field.low, le=field.high)
    if isinstance(field, Text):
        return core_schema.str_schema(
            strict=True, min_length=field.low, max_length=field.high, pattern=_pattern(field.chars)
        )
    if isinstance(field, Choice):
        return core_schema.literal_schema(list(field.choices))
    if isinstance(field, Flag):
        return core_schema.bool_schema(strict=True)
    if isinstance(field, Records):
        return core_schema.tuple_schema(
            [_record(field.record)],
            variadic_item_index=0,
            min_length=field.low,
            max_length=field.high,
            strict=True,
        )
    raise TypeError(f"no validator for {type(field).__name__}: add it here, as protocol.fields checks it")


def _pattern(chars: str) -> str:
    """Only those characters; without any, every printable one. What Rust calls text has no lone surrogates."""
    if not chars:
        return r"^[^\x00-\x1f\x7f]*$"
    return "^[" + "".join(f"\\x{{{ord(char):x}}}" for char in chars) + "]*$"
