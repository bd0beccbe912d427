"""Many rows as one parameter: a selectable that both databases unfold, so that a statement has one shape for both.

SQLite unfolds a JSON text with `json_each`, PostgreSQL one array a column with `unnest`. The arrays travel as text that
is written here: psycopg writes a Python list value by value, which took a seventh of the time of a batch.
"""

from collections.abc import Sequence
from typing import Any

from pydantic_core import to_json
from sqlalchemy import BigInteger, Boolean, ColumnElement, String, Subquery, TypeDecorator, column, text
from sqlalchemy.types import TypeEngine

_POSTGRESQL_TYPES: dict[type[Any], str] = {str: "text", int: "bigint", bool: "boolean"}
_TYPES: dict[type[Any], type[TypeEngine[Any]] | type[TypeDecorator[Any]]] = {
    str: String,
    int: BigInteger,
    bool: Boolean,
}


class Rows:
    """Rows of the given columns (name to str, int or bool; any value may be None), to be joined in a statement.

    `rows.c.<name>` is a column, `rows.table` the selectable, `rows.params(…)` what to execute the statement with.
    """

    def __init__(self, dialect: str, columns: dict[str, type[Any]]) -> None:
        self._dialect = dialect
        self._columns = columns
        typed = [column(name, _TYPES[kind]) for name, kind in columns.items()]
        unfold = _unnest(columns) if dialect == "postgresql" else _json_each(columns)
        self.table: Subquery = text(unfold).columns(*typed).subquery("incoming")
        self.c = self.table.c

    def columns(self, *names: str) -> dict[str, ColumnElement[Any]]:
        """Those columns by name, as `values(**…)` of an update takes them."""
        return {name: self.c[name] for name in names}

    def params(self, rows: Sequence[tuple[Any, ...]]) -> dict[str, Any]:
        """The parameters that carry `rows`, each in the order of the columns."""
        if self._dialect == "postgresql":
            lists = zip(*rows, strict=True) if rows else [()] * len(self._columns)
            return {
                f"incoming_{name}": (_text_array if kind is str else _array)(values)
                for (name, kind), values in zip(self._columns.items(), lists, strict=True)
            }
        return {"incoming_rows": to_json(rows).decode()}


def _array(values: Sequence[Any]) -> str:
    """Numbers and truths, as PostgreSQL reads an array."""
    return "{" + ",".join(["NULL" if value is None else str(value) for value in values]) + "}"


def _text_array(values: Sequence[str | None]) -> str:
    """Texts, as PostgreSQL reads an array: each quoted, so that none is taken for NULL or for more than one."""
    plain = [value for value in values if value is not None]
    if any(mark in "".join(plain) for mark in '\\"'):
        values = [None if value is None else value.replace("\\", "\\\\").replace('"', '\\"') for value in values]
    return "{" + ",".join(["NULL" if value is None else f'"{value}"' for value in values]) + "}"


def _unnest(columns: dict[str, type[Any]]) -> str:
    names = ", ".join(f'"{name}"' for name in columns)
    arrays = ", ".join(
        f"CAST(CAST(:incoming_{name} AS text) AS {_POSTGRESQL_TYPES[kind]}[])" for name, kind in columns.items()
    )
    return f"SELECT {names} FROM unnest({arrays}) AS unfolded({names})"  # noqa: S608  # names from the code only


def _json_each(columns: dict[str, type[Any]]) -> str:
    values = ", ".join(f"json_extract(value, '$[{place}]') AS \"{name}\"" for place, name in enumerate(columns))
    return f"SELECT {values} FROM json_each(:incoming_rows)"  # noqa: S608  # names from the code only
