"""Inserts that tell whether the row was new, in the words of both databases."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Connection, Insert, Table, insert
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.dml import ReturningInsert


def insert_new(tx: Connection, table: Table, values: Mapping[str, Any]) -> bool:
    """Insert the row, unless one with its key is there. On PostgreSQL this waits for another writer of that key."""
    return tx.execute(_unless_there(tx.dialect.name, table), dict(values)).first() is not None


def insert_those_new(tx: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> set[Any]:
    """Insert the rows whose key is not there yet; the table has a key of one column. Returns the keys of those added.

    Waits for other writers as `insert_new` does; give the rows in the order of their keys, as everyone does.
    """
    if not rows:
        return set()
    return set(tx.execute(_unless_there(tx.dialect.name, table), list(rows)).scalars())


def insert_all(tx: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert the rows, if there are any."""
    if rows:
        tx.execute(_into(table), list(rows))


# Each is made once: the columns are those of the rows that it is executed with.
@cache
def _unless_there(dialect: str, table: Table) -> ReturningInsert[Any]:
    into = postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)
    return into.on_conflict_do_nothing().returning(*table.primary_key.columns)


@cache
def _into(table: Table) -> Insert:
    return insert(table)
