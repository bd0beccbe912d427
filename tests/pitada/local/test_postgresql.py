"""A PostgreSQL of one's own: it starts, keeps what was committed through a crash, and leaves nothing running."""

import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url

from pitada.local import postgresql
from pitada.local.postgresql import LocalPostgresql, LocalPostgresqlError


@pytest.fixture
def directory() -> Iterator[Path]:
    # Not in pytest's own directory: run by root, the server is another user, who may not enter that one.
    path = Path(tempfile.mkdtemp(prefix="pitada-postgresql-"))
    yield path
    shutil.rmtree(path)


def connect(server: LocalPostgresql) -> psycopg.Connection[tuple[int]]:
    return psycopg.connect(server.url.replace("+psycopg", ""))


def test_what_was_committed_outlives_a_crash_and_the_url_stays(directory: Path) -> None:
    with LocalPostgresql(directory) as server:
        url = server.url
        with connect(server) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 7 AS value")
        server.kill()
        with pytest.raises(psycopg.OperationalError):
            connect(server)
        server.start()
        assert server.url == url
        with connect(server) as connection:
            assert connection.execute("SELECT value FROM kept").fetchone() == (7,)
    assert not (directory / "data" / "postmaster.pid").exists()


def test_a_restart_waits_for_its_own_port_rather_than_serve_where_nobody_looks(directory: Path) -> None:
    with LocalPostgresql(directory, fsync=False) as server:
        url = server.url
        server.kill()
        with (
            socket.create_server(("127.0.0.1", make_url(url).port or 0)),
            pytest.raises(LocalPostgresqlError, match="could not bind"),
        ):
            server.start()
        server.start()
        assert server.url == url


def test_it_asks_for_its_password(directory: Path) -> None:
    with LocalPostgresql(directory, fsync=False) as server:
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(
                server.url.replace("+psycopg", "").replace(":" + server.url.split(":")[2], ":wrong@127.0.0.1")
            )
        with pytest.raises(LocalPostgresqlError, match="already runs"):
            server.start()
        assert (directory / "password").stat().st_mode & 0o077 == 0


def test_without_postgresql_it_says_what_to_install(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.devnull)
    monkeypatch.setattr(postgresql, "DEBIAN_PROGRAMS", str(directory / "*"))
    with pytest.raises(LocalPostgresqlError, match="apt-get install postgresql"):
        LocalPostgresql(directory)
