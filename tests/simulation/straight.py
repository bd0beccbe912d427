"""Statements that the product keeps go straight to SQLite's driver: SQLAlchemy's account of each execution took longer
than SQLite.

SQLAlchemy still says what is sent and what comes back: its compiler writes the text, its types convert the values, its
results hold the rows. A test runs worlds with and without, and compares their traces.
"""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Dialect, Engine, exc
from sqlalchemy.engine.result import IteratorResult, SimpleResultMetaData

Parameters = Mapping[str, Any]

# Takes one value out of the parameters.
_Place = Callable[[Parameters], Any]


class StraightConnection(Connection):
    """SQLAlchemy's connection to `raw`, which must be the only one of its engine.

    A statement's first execution is SQLAlchemy's own, for most that are made for one use have no second.
    """

    def __init__(self, engine: Engine, raw: sqlite3.Connection) -> None:
        super().__init__(engine)
        self._raw = raw
        self._kept: WeakKeyDictionary[Any, dict[tuple[str, ...], _Kept]] = WeakKeyDictionary()

    def execute(self, statement: Any, parameters: Any = None, *, execution_options: Any = None) -> Any:
        rows = parameters if isinstance(parameters, list) else [parameters or {}]
        kept = self._known(statement, rows[0])
        if kept is None or not kept.takes(rows):
            return super().execute(statement, parameters, execution_options=execution_options)
        text = kept.text(rows[0])
        cursor = self._raw.cursor()
        try:
            if len(rows) == 1:
                cursor.execute(text.sql, text.values(rows[0]))
            else:
                cursor.executemany(text.sql, map(text.values, rows))
        except sqlite3.Error as error:
            raise getattr(exc, type(error).__name__)(text.sql, None, error) from error
        return kept.result(cursor)

    def _known(self, statement: Any, parameters: Parameters) -> "_Kept | None":
        """None: it is executed for the first time."""
        by_names = self._kept.get(statement)
        if by_names is None:
            self._kept[statement] = {}
            return None
        names = tuple(parameters)
        kept = by_names.get(names)
        if kept is None:
            kept = by_names[names] = _Kept(statement, self.dialect, names)
        return kept


class _Result(IteratorResult[Any]):
    """With the number of rows that a statement changed, as a `CursorResult` has it."""

    rowcount: int


class _Text:
    """What is sent when the lists among the parameters are as long as in these."""

    def __init__(self, compiled: Any, parameters: Parameters) -> None:
        defaults = {column.key: column.default.arg for column in compiled.insert_prefetch}
        expanded = compiled.construct_expanded_state({**compiled.params, **defaults, **parameters})
        self.sql: str = expanded.statement
        places: dict[str, _Place] = {name: itemgetter(name) for name in parameters}
        for name in parameters.keys() & expanded.parameter_expansion.keys():
            for number, part in enumerate(expanded.parameter_expansion[name]):
                places[part] = _member(name, number, parameters[name])
        self._places = [
            _converted(places.get(name, _always(expanded.parameters[name])), expanded.processors.get(name))
            for name in expanded.positiontup
        ]

    def values(self, parameters: Parameters) -> list[Any]:
        """What goes with it."""
        return [place(parameters) for place in self._places]


class _Kept:
    """A statement for parameters of these names."""

    def __init__(self, statement: Any, dialect: Dialect, names: Sequence[str]) -> None:
        self._compiled = statement.compile(dialect=dialect, column_keys=list(names))
        self._lists = [bound.key for bound in self._compiled.bind_names if bound.expanding and bound.key in names]
        self._texts: dict[tuple[int, ...], _Text] = {}
        types = [column.type.dialect_impl(dialect) for column in getattr(statement, "exported_columns", ())]
        from_driver = [one.result_processor(dialect, None) for one in types]
        self._returns_rows = bool(types)
        self._from_driver = [(place, convert) for place, convert in enumerate(from_driver) if convert is not None]
        self._metadata: SimpleResultMetaData | None = None

    def takes(self, rows: Sequence[Parameters]) -> bool:
        """Not several new rows that return something: the driver runs those one by one."""
        return len(rows) == 1 or not self._returns_rows

    def text(self, parameters: Parameters) -> _Text:
        """The text that fits the lengths of the lists."""
        lengths = tuple([len(parameters[name]) for name in self._lists])
        text = self._texts.get(lengths)
        if text is None:
            text = self._texts[lengths] = _Text(self._compiled, parameters)
        return text

    def result(self, cursor: sqlite3.Cursor) -> _Result:
        """The rows, with values as their columns' types have them."""
        if self._metadata is None:
            self._metadata = SimpleResultMetaData([name for name, *_ in cursor.description or ()])
        rows = cursor.fetchall()
        if self._from_driver:
            rows = [self._convert(row) for row in rows]
        result = _Result(self._metadata, iter(rows))
        result.rowcount = cursor.rowcount
        return result

    def _convert(self, row: tuple[Any, ...]) -> tuple[Any, ...]:
        values = list(row)
        for place, convert in self._from_driver:
            values[place] = convert(values[place])
        return tuple(values)


def _member(name: str, number: int, given: Sequence[Any]) -> _Place:
    """Of a list of values, or of tuples of values, the so many-th."""
    if given and isinstance(given[0], tuple):
        row, column = divmod(number, len(given[0]))
        return lambda parameters: parameters[name][row][column]
    return lambda parameters: parameters[name][number]


def _always(value: Any) -> _Place:
    return lambda _parameters: value


def _converted(place: _Place, convert: Callable[[Any], Any] | None) -> _Place:
    return place if convert is None else lambda parameters: convert(place(parameters))
