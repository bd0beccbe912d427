"""Mosquitto's files are written when the accounts differ, and only then."""

from pathlib import Path

from broker.mosquitto import Tls
from pitada.broker_files import REVISION, write_accounts, write_config

HASH = "$7$101$c2FsdA==$aGFzaA=="


def test_only_other_accounts_make_a_new_revision(tmp_path: Path) -> None:
    assert write_accounts(tmp_path, {"dev-a": HASH})
    first = (tmp_path / REVISION).read_text()
    assert not write_accounts(tmp_path, {"dev-a": HASH})
    assert (tmp_path / REVISION).read_text() == first
    assert write_accounts(tmp_path, {"dev-a": HASH, "dev-b": HASH})
    assert (tmp_path / REVISION).read_text() != first
    assert "dev-b" in (tmp_path / "passwords").read_text()


def test_nobody_else_can_read_them(tmp_path: Path) -> None:
    write_accounts(tmp_path, {"svc_ingest": HASH})
    write_config(tmp_path, "0.0.0.0", 8883, Tls(Path("/c.crt"), Path("/c.key")))
    assert {path.name for path in tmp_path.iterdir()} == {"access", "passwords", "mosquitto.conf", REVISION}
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


def test_the_configuration_is_of_the_listener_and_logs_for_the_container_engine(tmp_path: Path) -> None:
    write_config(tmp_path, "0.0.0.0", 8883, Tls(Path("/c.crt"), Path("/c.key")))
    lines = (tmp_path / "mosquitto.conf").read_text().splitlines()
    assert {"listener 8883 0.0.0.0", "certfile /c.crt", "keyfile /c.key", "log_dest stderr"} <= set(lines)
    write_config(tmp_path, "127.0.0.1", 1883, None)
    assert "certfile" not in (tmp_path / "mosquitto.conf").read_text()
