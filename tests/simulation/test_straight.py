"""What goes straight to the driver does what SQLAlchemy's own connection does."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import BindParameter, Connection, Engine, bindparam, select, tuple_
from sqlalchemy.exc import IntegrityError

from services.ledger.database import DatabaseUnavailable
from services.ledger.inserts import insert_all, insert_new
from services.ledger.tables import device, flask, job
from tests.simulation.database import MemoryLedger
from tests.simulation.plan import draw
from tests.simulation.world import simulate

KITCHEN = (("disp-1", ((1, 1000, 5), (2, 2000, 5))), ("disp-2", ((1, 3000, 5),)))


@pytest.fixture
def ledger() -> Iterator[MemoryLedger]:
    made = MemoryLedger()
    made.reset(KITCHEN)
    yield made
    made.close()


@contextmanager
def its_own() -> Iterator[MemoryLedger]:
    """A ledger on SQLAlchemy's own connection."""

    def connect(engine: Engine, _raw: object) -> Connection:
        return engine.connect()

    made = MemoryLedger(connect)
    yield made
    made.close()


def test_worlds_have_the_same_traces_with_and_without(ledger: MemoryLedger) -> None:
    with its_own() as other:
        for seed in range(200, 230):
            drawn = draw(seed)
            assert simulate(drawn, ledger).trace.dump() == simulate(drawn, other).trace.dump(), seed


def test_values_come_as_their_columns_have_them_each_time(ledger: MemoryLedger) -> None:
    online = select(device.c.device, device.c.online).order_by(device.c.device)
    for _ in range(3):
        with ledger.read() as tx:
            rows = tx.execute(online).all()
        assert [(row.device, row.online) for row in rows] == [("disp-1", False), ("disp-2", False)]
        assert all(row.online is False for row in rows)


def test_lists_of_any_length_fit(ledger: MemoryLedger) -> None:
    keys: BindParameter[Any] = bindparam("keys", expanding=True)
    chosen = select(flask.c.stock_mg).where(tuple_(flask.c.device, flask.c.flask).in_(keys)).order_by(flask.c.stock_mg)
    asked = [("disp-1", 1), ("disp-1", 2), ("disp-2", 1)]
    with ledger.read() as tx:
        for size in (1, 3, 0, 2, 3):
            found = tx.execute(chosen, {"keys": asked[:size]}).scalars().all()
            assert found == [1000, 2000, 3000][:size]


def test_new_rows_get_their_defaults_and_tell_whether_they_are_new(ledger: MemoryLedger) -> None:
    with ledger.write() as tx:
        for number in range(3):
            row = {"job": f"job-{number}", "device": "disp-1", "placed_at_ms": number, "placed_by": "ana"}
            assert insert_new(tx, job, row)
            assert not insert_new(tx, job, row)
        states = tx.execute(select(job.c.state, job.c.rank)).all()
    assert [tuple(row) for row in states] == [("queued", 0)] * 3


def test_several_rows_are_changed_and_counted(ledger: MemoryLedger) -> None:
    rename = device.update().values(name=bindparam("new"))
    with ledger.write() as tx:
        for new in ("one", "two", "three"):
            assert tx.execute(rename, {"new": new}).rowcount == 2
    assert ledger.rows("SELECT DISTINCT name FROM device") == [("three",)]


def test_what_the_database_refuses_is_the_error_that_sqlalchemy_raises_and_leaves_nothing(ledger: MemoryLedger) -> None:
    row = {"device": "disp-3", "name": "third"}
    for _ in range(3):  # the first is SQLAlchemy's own
        with pytest.raises(IntegrityError), ledger.write() as tx:
            insert_all(tx, device, [row, row])
        assert ledger.rows("SELECT count(*) FROM device") == [(2,)]


def test_a_statement_that_is_made_to_fail_takes_its_transaction_with_it(ledger: MemoryLedger) -> None:
    rename = device.update().values(name=bindparam("new"))

    def rename_twice() -> None:
        with ledger.write() as tx:
            tx.execute(rename, {"new": "half"})
            tx.execute(rename, {"new": "whole"})

    for _ in range(3):
        ledger.fail_in(2)
        with pytest.raises(DatabaseUnavailable):
            rename_twice()
        assert ledger.rows("SELECT DISTINCT name FROM device") == [("disp-1",), ("disp-2",)]
