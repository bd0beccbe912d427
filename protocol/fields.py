"""Fields: the cells of a message's table. Each one checks, and describes, one value.

`check(value)` returns the value to keep or raises `BadValue` whose text names the field, what came and what is allowed.
"""

try:
    from typing import TypeVar, dataclass_transform

    R = TypeVar("R", bound="Record")
except ImportError:  # MicroPython has no typing; only type checkers look at these

    def dataclass_transform(**_options):  # type: ignore[no-untyped-def,misc]  # stands in where there are no types
        return lambda cls: cls


LOWER = "abcdefghijklmnopqrstuvwxyz"
DIGITS = "0123456789"
DEVICE_CHARS = LOWER + DIGITS + "-"
ID_CHARS = LOWER + LOWER.upper() + DIGITS + "_-"
VERSION_CHARS = ID_CHARS + ".+"
HEX_CHARS = DIGITS + "abcdef"


class BadValue(ValueError):
    """A value that its field does not allow. The sender made the mistake."""


class Field:
    """One named value of a message. `null` fields may be JSON null.

    All fields must be present but `optional` ones, which peers of an earlier release do not know: absent is null.
    """

    kind = "any"

    def __init__(self, name: str, doc: str, null: bool = False, optional: bool = False) -> None:
        self.name = name
        self.doc = doc
        self.null = null or optional
        self.optional = optional

    def check(self, value: object) -> object:
        if value is None and self.null:
            return None
        return self.allow(value)

    def allow(self, value: object) -> object:
        raise BadValue(self.name)

    def bounds(self) -> str:
        """The allowed values in words, for the protocol page."""
        return ""

    def refuse(self, value: object) -> "BadValue":
        shown = repr(value)
        if len(shown) > 40:
            shown = shown[:37] + "..."
        return BadValue(f"{self.name} is {shown}, expected {self.kind} {self.bounds()}".rstrip())


class Int(Field):
    """A whole number from `low` to `high`, in `unit`. A JSON true or 1.0 is not a whole number."""

    kind = "integer"

    def __init__(
        self,
        name: str,
        low: int,
        high: int,
        doc: str,
        unit: str = "",
        null: bool = False,
        optional: bool = False,
    ) -> None:
        Field.__init__(self, name, doc, null, optional)
        self.low = low
        self.high = high
        self.unit = unit

    def allow(self, value: object) -> object:
        if type(value) is not int or value < self.low or value > self.high:
            raise self.refuse(value)
        return value

    def bounds(self) -> str:
        return f"{self.low} to {self.high}" + (f" {self.unit}" if self.unit else "")


class Text(Field):
    """A string of `low` to `high` characters, all of them from `chars` (any printable character when empty)."""

    kind = "string"

    def __init__(self, name: str, low: int, high: int, chars: str, doc: str, null: bool = False) -> None:
        Field.__init__(self, name, doc, null)
        self.low = low
        self.high = high
        self.chars = chars

    def allow(self, value: object) -> object:
        if type(value) is not str or not self.low <= len(value) <= self.high:
            raise self.refuse(value)
        if self.chars:
            # Stripping leaves something exactly when one character is not allowed.
            if value.strip(self.chars):
                raise self.refuse(value)
        elif any(c < " " or "\ud800" <= c <= "\udfff" or c == "\x7f" for c in value):
            raise self.refuse(value)
        return value

    def bounds(self) -> str:
        size = f"{self.low} to {self.high} characters"
        return f"{size} of `{_ranges(self.chars)}`" if self.chars else f"{size}, printable"


class Flag(Field):
    """true or false."""

    kind = "boolean"

    def allow(self, value: object) -> object:
        if value is not True and value is not False:
            raise self.refuse(value)
        return value


class Choice(Field):
    """One of the strings in `choices`."""

    kind = "string"

    def __init__(self, name: str, choices: "tuple[str, ...]", doc: str, null: bool = False) -> None:
        Field.__init__(self, name, doc, null)
        self.choices = choices

    def allow(self, value: object) -> object:
        if value not in self.choices:
            raise self.refuse(value)
        return value

    def bounds(self) -> str:
        return "one of " + ", ".join(f"`{choice}`" for choice in self.choices)


class Records(Field):
    """A list of `low` to `high` records of one class."""

    kind = "list"

    def __init__(self, name: str, record: "type[Record]", low: int, high: int, doc: str) -> None:
        Field.__init__(self, name, doc)
        self.record = record
        self.low = low
        self.high = high

    def allow(self, value: object) -> object:
        if not isinstance(value, (list, tuple)) or not self.low <= len(value) <= self.high:
            raise self.refuse(value)
        return tuple([self._one(position, entry) for position, entry in enumerate(value)])

    def _one(self, position: int, entry: object) -> object:
        if isinstance(entry, self.record):
            return entry
        if not isinstance(entry, dict):
            raise BadValue(f"{self.name}[{position}] is not an object")
        try:
            return from_values(self.record, entry)
        except BadValue as error:
            raise BadValue(f"{self.name}[{position}]: {error}")

    def bounds(self) -> str:
        return f"{self.low} to {self.high} x `{self.record.__name__}`"


def table(*fields: Field) -> "tuple[Field, ...]":
    """The field table of a record, in wire order."""
    return fields


@dataclass_transform(kw_only_default=True, frozen_default=True)
class Record:
    """Named values checked against the class's `FIELDS`: an instance is always valid. Never changed once made."""

    FIELDS = table()

    def __init__(self, **values: object) -> None:
        given = 0
        for field in self.FIELDS:
            name = field.name
            if name in values:
                given += 1
            elif not field.optional:
                raise BadValue(f"{name} is missing")
            setattr(self, name, field.check(values.get(name)))
        if len(values) != given:
            known = [field.name for field in self.FIELDS]
            raise BadValue("unknown: " + ", ".join([name for name in values if name not in known]))
        self.check()

    def check(self) -> None:
        """Rules that join several fields; a subclass raises `BadValue` when they do not hold."""

    def values(self) -> "dict[str, object]":
        """The plain JSON form: numbers, strings, booleans, None, lists and dicts, in wire order."""
        out = {}
        for field in self.FIELDS:
            value = getattr(self, field.name)
            if isinstance(value, tuple):
                value = [entry.values() for entry in value]
            out[field.name] = value
        return out

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Record) and type(self) is type(other) and self.values() == other.values()

    def __hash__(self) -> int:
        return hash(repr(self))

    def __repr__(self) -> str:
        shown = [f"{field.name}={getattr(self, field.name)!r}" for field in self.FIELDS]
        return f"{type(self).__name__}({', '.join(shown)})"


def from_values(record: "type[R]", values: "dict[str, object]") -> "R":
    """A record from its JSON form. Names that the record does not know are ignored: a newer peer may send more."""
    known = {}
    for field in record.FIELDS:
        if field.name in values:
            known[field.name] = values[field.name]
    return record(**known)


def _ranges(chars: str) -> str:
    """`abc…z0…9-` as `a-z0-9-`, for people."""
    for run, short in ((LOWER, "a-z"), (LOWER.upper(), "A-Z"), (DIGITS, "0-9"), ("abcdef", "a-f")):
        chars = chars.replace(run, short)
    return chars
