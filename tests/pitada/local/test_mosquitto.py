"""The real Mosquitto, started and stopped."""

import socket
from pathlib import Path

import pytest

from pitada.local import mosquitto
from pitada.local.mosquitto import LocalMosquitto, MosquittoFailed

# PBKDF2-SHA512 of "x" would do; no client signs in here.
HASH = "$7$101$c2FsdHNhbHRzYWx0$" + "A" * 86 + "=="


def test_it_listens_while_the_block_runs_and_not_after(tmp_path: Path) -> None:
    with LocalMosquitto(tmp_path, {"dev-a": HASH}) as broker:
        socket.create_connection((broker.host, broker.port), timeout=5).close()

    with pytest.raises(OSError, match="refused"):
        socket.create_connection((broker.host, broker.port), timeout=5)
    assert (tmp_path / "mosquitto.db").exists()


def test_it_keeps_its_port_over_a_kill_and_a_start(tmp_path: Path) -> None:
    broker = LocalMosquitto(tmp_path, {"dev-a": HASH})
    broker.start()
    port = broker.port
    broker.kill()
    assert broker.pid is None

    broker.start()

    assert broker.port == port
    broker.stop()


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]

        with pytest.raises(MosquittoFailed, match=str(port)):
            LocalMosquitto(tmp_path, {"dev-a": HASH}, port).start()


def test_accounts_can_be_changed_while_it_runs(tmp_path: Path) -> None:
    with LocalMosquitto(tmp_path, {"dev-a": HASH}) as broker:
        broker.reload({"dev-b": HASH})

        socket.create_connection((broker.host, broker.port), timeout=5).close()
    assert (tmp_path / "passwords").read_text().startswith("dev-b:")


def test_a_missing_binary_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mosquitto, "_PLACES", "")

    with pytest.raises(MosquittoFailed, match="apt install mosquitto"):
        mosquitto.find_binary()
