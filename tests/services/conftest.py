"""Databases for the tests of the services: each test gets its own, migrated, on SQLite and on PostgreSQL."""

import itertools
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, delete, event, make_url, text

from pitada.local.postgresql import LocalPostgresql, LocalPostgresqlError
from services.ledger.database import Database
from services.ledger.tables import METADATA

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    """A server for the whole run, stopped at its end."""
    # Not in pytest's own directory: run by root, the server is another user, who may not enter that one.
    directory = Path(tempfile.mkdtemp(prefix="pitada-postgresql-"))
    try:
        with LocalPostgresql(directory, fsync=False) as server:
            yield server.url
    except LocalPostgresqlError as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"the tests on PostgreSQL do not run here: {error}")
    finally:
        shutil.rmtree(directory)


@pytest.fixture(scope="session")
def migrated_url(postgresql_url: str) -> str:
    """A migrated database on that server. Each test finds it empty: emptying is much cheaper than making another."""
    url = _create(postgresql_url, "migrated")
    database = Database(url)
    database.migrate()
    database.close()
    return url


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file that others are copied from."""
    path = tmp_path_factory.mktemp("ledger") / "migrated.db"
    database = Database(f"sqlite:///{path}")
    database.migrate()
    database.close()
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database without tables."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'empty.db'}"
    return _create(request.getfixturevalue("postgresql_url"), f"empty_{next(_numbers)}")


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A migrated database of the test's own."""
    if request.param == "sqlite":
        path = tmp_path / "ledger.db"
        shutil.copy(request.getfixturevalue("migrated_file"), path)
        opened = Database(f"sqlite:///{path}")
        event.listen(opened.engine, "connect", _do_not_wait_for_the_disk)
    else:
        opened = Database(request.getfixturevalue("migrated_url"))
        with opened.write() as tx:
            for table in reversed(METADATA.sorted_tables):
                tx.execute(delete(table))
    yield opened
    opened.close()


def _do_not_wait_for_the_disk(connection: sqlite3.Connection, _record: object) -> None:
    # As fsync off on the other database: only the crash of the machine would lose what was committed.
    connection.execute("PRAGMA synchronous=OFF")


def _create(server: str, name: str) -> str:
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f'CREATE DATABASE "{name}"'))
    engine.dispose()
    return _url_of(server, name)


def _url_of(server: str, name: str) -> str:
    return make_url(server).set(database=name).render_as_string(hide_password=False)
