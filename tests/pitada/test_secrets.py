"""Passwords are made once, kept to their user, and never guessed at."""

from pathlib import Path

import pytest

from pitada.secrets import FILE, BadSecrets, own_account, read_secret, service_accounts, write_private
from services import devices
from services.ledger.database import Database
from services.mqtt import Account
from services.settings import Settings


@pytest.fixture
def database(tmp_path: Path) -> Database:
    database = Database(f"sqlite:///{tmp_path / 'ledger.db'}")
    database.migrate()
    return database


def test_the_passwords_are_kept_in_a_private_file_and_known_to_the_ledger(tmp_path: Path, database: Database) -> None:
    made = service_accounts(tmp_path, database, 1)
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
    assert service_accounts(tmp_path, database, 2) == made
    assert own_account(Settings(data_dir=tmp_path), "svc_ingest") == made["svc_ingest"]
    assert all(devices.verify(database, user, account.password) for user, account in made.items())


def test_a_file_that_others_can_read_is_refused(tmp_path: Path, database: Database) -> None:
    service_accounts(tmp_path, database, 1)
    (tmp_path / FILE).chmod(0o644)
    with pytest.raises(BadSecrets, match="chmod 600"):
        service_accounts(tmp_path, database, 1)


def test_a_service_that_runs_alone_reads_the_file_that_it_is_given(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("xyzzy\n")
    settings = Settings(data_dir=tmp_path, mqtt_password_file=tmp_path / "password")
    assert own_account(settings, "svc_dispatch") == Account("svc_dispatch", "xyzzy")


def test_a_missing_password_is_not_made_but_said(tmp_path: Path) -> None:
    with pytest.raises(BadSecrets, match="pitada migrate"):
        own_account(Settings(data_dir=tmp_path), "svc_ingest")
    with pytest.raises(BadSecrets, match="No such file"):
        read_secret(tmp_path / "nothing")
    (tmp_path / "empty").write_text("\n")
    with pytest.raises(BadSecrets, match="is empty"):
        read_secret(tmp_path / "empty")


def test_a_private_file_is_replaced_whole(tmp_path: Path) -> None:
    write_private(tmp_path / "secret", "one")
    write_private(tmp_path / "secret", "two", 0o444)
    assert (tmp_path / "secret").read_text() == "two"
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o444
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]
