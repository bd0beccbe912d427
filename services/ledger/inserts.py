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


def insert_all(tx: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert the rows, if there are any."""
    if rows:
        tx.execute(insert(table), list(rows))
