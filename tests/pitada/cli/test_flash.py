"""`pitada flash` on the command line."""

import json
from pathlib import Path

import pytest

from pitada import flashing
from pitada.flashing import FlashingFailed, Label
from tests.pitada.cli.conftest import Run


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[object, ...]]:
    """What would have been done to a board."""
    asked: list[tuple[object, ...]] = []

    def flash(*arguments: object) -> Label:
        asked.append(arguments[:4])
        return Label("pitada-3fa2", "abcdefgh23")

    monkeypatch.setattr(flashing, "mpremote", lambda: "mpremote")
    monkeypatch.setattr(flashing, "flash", flash)
    return asked


def test_it_prints_what_belongs_on_the_label(pitada: Run, asked: list[tuple[object, ...]]) -> None:
    done = pitada("flash", "--port", "/dev/ttyUSB0")
    assert done.returncode == 0
    assert "pitada-3fa2" in done.stdout
    assert "abcdefgh23" in done.stdout
    assert asked == [("mpremote", "/dev/ttyUSB0", Path("build/firmware/board"), None)]


def test_it_says_it_as_json_too(pitada: Run, asked: list[tuple[object, ...]]) -> None:
    done = pitada("flash", "--port", "COM3", "--from", "elsewhere", "--ca", "ca.crt", "--json")
    assert json.loads(done.stdout) == {"network": "pitada-3fa2", "password": "abcdefgh23"}
    assert asked == [("mpremote", "COM3", Path("elsewhere"), Path("ca.crt"))]


def test_a_failure_is_one_sentence(pitada: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> str:
        raise FlashingFailed("mpremote is not installed.")

    monkeypatch.setattr(flashing, "mpremote", missing)
    done = pitada("flash", "--port", "COM3")
    assert done.returncode == 1
    assert done.stderr == "Error: mpremote is not installed.\n"
