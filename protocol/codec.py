"""Messages to bytes and back, with the size limit and every field's bounds enforced both ways."""

import json

from protocol.fields import BadValue, Record, from_values
from protocol.limits import MAX_PAYLOAD_BYTES

try:
    from protocol.fields import R
except ImportError:  # MicroPython has no TypeVar
    pass


class Malformed(ValueError):
    """A payload that is not the message its topic promises. The text says what is wrong with it."""


def encode(message: Record) -> bytes:
    """The wire form: compact JSON in UTF-8. Raises `Malformed` above `MAX_PAYLOAD_BYTES`."""
    data = json.dumps(message.values(), separators=(",", ":")).encode()
    if len(data) > MAX_PAYLOAD_BYTES:
        raise Malformed(f"{type(message).__name__} takes {len(data)} bytes, the limit is {MAX_PAYLOAD_BYTES}")
    return data


def decode(record: "type[R]", payload: bytes) -> "R":
    """The message in `payload`. Raises `Malformed` for anything that is not exactly that."""
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise Malformed(f"{len(payload)} bytes, the limit is {MAX_PAYLOAD_BYTES}")
    try:
        values = json.loads(str(payload, "utf-8"))
    except (ValueError, RuntimeError) as error:  # RuntimeError: nested deeper than the interpreter's stack
        raise Malformed(f"not JSON in UTF-8: {error}")  # MicroPython has no `from`
    if not isinstance(values, dict):
        raise Malformed(f"a JSON {type(values).__name__}, expected an object")
    try:
        return from_values(record, values)
    except BadValue as error:
        raise Malformed(f"{error}")  # as above
