"""Transactions and migrations, on both databases."""

import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import insert, select
from sqlalchemy.exc import DBAPIError, IntegrityError

from services.ledger import tables
from services.ledger.database import BadDatabaseUrl, Database

ACCOUNT = {"user": "u", "role": "device", "hash": "h"}


def test_the_migrated_tables_are_those_of_the_code(empty_url: str) -> None:
    database = Database(empty_url)
    database.migrate()
    with database.read() as tx:
        assert compare_metadata(MigrationContext.configure(tx), tables.METADATA) == []
    database.close()


def test_migrating_twice_keeps_what_is_there(database: Database) -> None:
    with database.write() as tx:
        tx.execute(insert(tables.account).values(ACCOUNT))
    database.migrate()
    with database.read() as tx:
        assert tx.execute(select(tables.account.c.user)).scalars().all() == ["u"]


def test_two_may_migrate_at_once(empty_url: str) -> None:
    failures: list[BaseException] = []
    together = threading.Barrier(2)

    def migrate() -> None:
        database = Database(empty_url)
        try:
            together.wait(10)
            database.migrate()
        except BaseException as error:
            failures.append(error)
        finally:
            database.close()

    threads = [threading.Thread(target=migrate) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []


def test_an_exception_takes_the_whole_transaction_back(database: Database) -> None:
    def fail_half_way() -> None:
        with database.write() as tx:
            tx.execute(insert(tables.account).values(ACCOUNT))
            tx.execute(insert(tables.account).values(ACCOUNT))

    with pytest.raises(IntegrityError):
        fail_half_way()
    with database.read() as tx:
        assert tx.execute(select(tables.account)).all() == []


def test_a_reader_sees_one_moment_and_may_write_nothing(database: Database) -> None:
    with database.read() as reader:
        assert reader.execute(select(tables.account)).all() == []
        with database.write() as writer:
            writer.execute(insert(tables.account).values(ACCOUNT))
        assert reader.execute(select(tables.account)).all() == []
    with pytest.raises(DBAPIError), database.read() as reader:
        reader.execute(insert(tables.account).values({**ACCOUNT, "user": "v"}))
    with database.write() as writer:
        writer.execute(insert(tables.account).values({**ACCOUNT, "user": "w"}))


def test_writers_of_one_file_wait_for_each_other(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'ledger.db'}")
    database.migrate()

    def count_up() -> None:
        for _ in range(10):
            with database.write() as tx:
                value = tx.execute(select(tables.counter.c.value)).scalar()
                if value is None:
                    tx.execute(insert(tables.counter).values(name="n", value=1))
                else:
                    tx.execute(tables.counter.update().values(value=value + 1))

    threads = [threading.Thread(target=count_up) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    with database.read() as tx:
        assert tx.execute(select(tables.counter.c.value)).scalar() == 40
    database.close()


def test_a_new_file_that_somebody_is_just_writing_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite itself waits for a reader then, but not for a writer."""
    other = sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    other.execute("CREATE TABLE first (one INTEGER)")
    monkeypatch.setattr("services.ledger.database.time.sleep", lambda _pause_s: other.execute("COMMIT"))

    database = Database(f"sqlite:///{tmp_path}/ledger.db")
    database.ping()

    assert not other.in_transaction
    other.close()
    database.close()


def test_sqlite_keeps_every_commit_on_disk(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'ledger.db'}")
    with database.read() as tx:
        settings = {
            name: tx.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert settings == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 10_000}
    database.close()


@pytest.mark.parametrize(
    "url", ["sqlite://", "sqlite:///:memory:", "mysql://host/name", "postgresql+psycopg2://host/n", "?"]
)
def test_a_url_that_names_no_ledger_is_refused(url: str) -> None:
    with pytest.raises(BadDatabaseUrl):
        Database(url)


def test_the_ledger_is_usable_from_any_thread(floor: Any) -> None:
    done: list[int] = []

    def work() -> None:
        floor.offer("j", [(1, 100)])
        done.append(len(floor.settle(floor.completed("j", floor.report(0, 1, 100))).receipts))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(30)
    assert done == [1]


def test_tables_are_current_when_they_are_migrated_and_not_before(empty_url: str) -> None:
    database = Database(empty_url)
    assert not database.is_current()
    database.migrate()
    assert database.is_current()
    database.ping()
    database.close()


def test_a_url_that_cannot_be_read_is_not_repeated_for_it_may_hold_a_password() -> None:
    with pytest.raises(BadDatabaseUrl) as refused:
        Database("postgresql//pitada:xyzzy@host")
    assert "xyzzy" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_a_password_of_its_own_takes_the_place_of_the_url_s() -> None:
    database = Database("postgresql+psycopg://pitada@host/pitada", "p@ss/word")
    assert database.engine.url.password == "p@ss/word"
    assert "p@ss/word" not in database.url
    database.close()
