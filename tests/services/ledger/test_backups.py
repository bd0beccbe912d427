"""Backups of both databases: whole or not there, back as they were, and nothing replaced that nobody said to."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select, text, update

from services.ledger import backups, postgresql_programs, tables
from services.ledger.backups import BadBackup, WouldOverwrite
from services.ledger.database import Database, LedgerError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "backup"


def counters(database: Database) -> dict[str, int]:
    with database.read() as tx:
        return {row.name: row.value for row in tx.execute(select(tables.counter))}


def count(database: Database, name: str) -> None:
    with database.write() as tx:
        tx.execute(insert(tables.counter).values(name=name, value=1))


def test_a_restored_ledger_is_what_was_backed_up(kitchen: Any, file: Path) -> None:
    database = kitchen.database
    job = kitchen.place((1, 100))
    steps: list[tuple[int, int]] = []
    made = backups.backup(database.url, file, on_progress=lambda done, total: steps.append((done, total)))
    assert (made.size_bytes, made.file) == (file.stat().st_size, str(file))
    assert steps
    assert file.stat().st_mode & 0o077 == 0
    kitchen.cancel(job.job)
    count(database, "after")
    taken, found = backups.restore(database.url, file, overwrite=True)
    assert (taken.revision, found.divergences, found.movements) == (made.revision, 0, 3)
    assert kitchen.job(job.job).state == "queued"
    assert counters(database) == {}
    kitchen.cancel(job.job)


def test_a_backup_restores_into_an_empty_database_too(kitchen: Any, file: Path, tmp_path: Path) -> None:
    backups.backup(kitchen.database.url, file)
    if kitchen.database.dialect == "sqlite":
        other = Database(f"sqlite:///{tmp_path / 'new' / 'ledger.db'}")
    else:
        with kitchen.database.engine.connect() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT").execute(text('DROP DATABASE IF EXISTS "again"'))
            connection.execute(text('CREATE DATABASE "again"'))
        other = Database(kitchen.database.engine.url.set(database="again").render_as_string(hide_password=False))
    _, found = backups.restore(other.url, file)
    assert (found.flasks, found.divergences) == (3, 0)
    other.close()


def test_nothing_is_replaced_that_nobody_said_to(kitchen: Any, file: Path) -> None:
    backups.backup(kitchen.database.url, file)
    before = file.read_bytes()
    with pytest.raises(WouldOverwrite, match="--yes"):
        backups.backup(kitchen.database.url, file)
    assert file.read_bytes() == before
    count(kitchen.database, "kept")
    with pytest.raises(WouldOverwrite, match="--yes"):
        backups.restore(kitchen.database.url, file)
    assert counters(kitchen.database) == {"kept": 1}
    backups.backup(kitchen.database.url, file, overwrite=True)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda whole: b"",
        lambda whole: b"not a backup of anything" * 100,
        lambda whole: whole[: len(whole) // 2],
        lambda whole: whole[: len(whole) * 9 // 10],
    ],
    ids=["empty", "something else", "half", "cut short"],
)
def test_a_file_that_is_no_whole_backup_changes_nothing(
    kitchen: Any, file: Path, spoil: Callable[[bytes], bytes]
) -> None:
    backups.backup(kitchen.database.url, file)
    file.write_bytes(spoil(file.read_bytes()))
    count(kitchen.database, "kept")
    with pytest.raises(BadBackup, match="backup"):
        backups.restore(kitchen.database.url, file, overwrite=True)
    assert counters(kitchen.database) == {"kept": 1}


def test_a_backup_of_a_newer_version_is_refused(kitchen: Any, file: Path) -> None:
    with kitchen.database.write() as tx:
        before = tx.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
        tx.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    try:
        with pytest.raises(BadBackup, match="newer version"):
            backups.backup(kitchen.database.url, file)
        assert not file.exists()
        assert list(file.parent.glob("*.part")) == []
    finally:
        with kitchen.database.write() as tx:
            tx.execute(text("UPDATE alembic_version SET version_num = :before"), {"before": before})


def test_a_file_that_is_not_there_and_a_ledger_that_is_not_there_are_said(tmp_path: Path, file: Path) -> None:
    with pytest.raises(BadBackup, match="no file"):
        backups.restore(f"sqlite:///{tmp_path / 'ledger.db'}", file)
    with pytest.raises(LedgerError, match="no ledger"):
        backups.backup(f"sqlite:///{tmp_path / 'ledger.db'}", file)
    with pytest.raises(LedgerError, match="cannot be written"):
        backups.backup(f"sqlite:///{tmp_path / 'ledger.db'}", tmp_path / "nowhere" / "backup")


def test_a_backup_is_one_moment_while_others_write(kitchen: Any, file: Path, tmp_path: Path) -> None:
    database = kitchen.database
    with database.write() as tx:
        tx.execute(insert(tables.counter), [{"name": name, "value": 0} for name in ("left", "right")])
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            with database.write() as tx:
                for name in ("left", "right"):
                    row = tables.counter
                    tx.execute(update(row).where(row.c.name == name).values(value=row.c.value + 1))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        backups.backup(database.url, file)
    finally:
        stop.set()
        writer.join(30)
    backups.restore(database.url, file, overwrite=True)
    found = counters(database)
    assert found["left"] == found["right"]


def test_without_postgresqls_programs_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, migrated_url: str, file: Path, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(postgresql_programs, "DEBIAN_PROGRAMS", str(tmp_path / "none" / "*"))
    with pytest.raises(postgresql_programs.NoPrograms, match="apt-get install postgresql-client"):
        backups.backup(migrated_url, file)
    assert not file.exists()
