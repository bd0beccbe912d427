"""Inserts that tell whether the row was new, in the words of both databases."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Table, insert
from sqlalchemy.dialects import postgresql, sqlite


def insert_new(tx: Connection, table: Table, values: Mapping[str, Any]) -> bool:
    """Insert the row, unless one with its key is there. On PostgreSQL this waits for another writer of that key."""
    dialect = postgresql if tx.dialect.name == "postgresql" else sqlite
    added = dialect.insert(table).values(**values).on_conflict_do_nothing()
    return tx.execute(added.returning(*table.primary_key.columns)).first() is not None


def insert_those_new(tx: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> set[Any]:
    """Insert the rows whose key is not there yet; the table has a key of one column. Returns the keys of those added.

    Waits for other writers as `insert_new` does; give the rows in the order of their keys, as everyone does.
    """
    if not rows:
        return set()
    dialect = postgresql if tx.dialect.name == "postgresql" else sqlite
    added = dialect.insert(table).on_conflict_do_nothing().returning(*table.primary_key.columns)
    return set(tx.execute(added, list(rows)).scalars())


def insert_all(tx: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert the rows, if there are any."""
    if rows:
        tx.execute(insert(table), list(rows))
