"""Rows as one parameter arrive as they were sent, on both databases."""

from typing import Any

import pytest
from sqlalchemy import select

from services.ledger.database import Database
from services.ledger.rows import Rows

COLUMNS = {"name": str, "amount": int, "flag": bool}


@pytest.mark.parametrize(
    "sent",
    [
        [],
        [("a", 1, True)],
        [(None, None, None), (None, None, None)],
        [("q\"uo'te, {} \\ \u00e9\U0001f9c2\n", -(2**53), False), ("", 2**62, None), ("null", 0, True)],
    ],
)
def test_what_is_sent_arrives(database: Database, sent: list[tuple[Any, ...]]) -> None:
    rows = Rows(database.dialect, COLUMNS)
    with database.read() as tx:
        got = tx.execute(select(rows.table), rows.params(sent)).all()
    assert [tuple(row) for row in got] == sent
