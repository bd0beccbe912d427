"""`pitada` as a shell runs it, on a data directory of the test's own."""

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pitada.cli import main, output
from services.ledger.database import Database

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def shell(data_dir: Path) -> Run:
    """Runs `pitada` as a process of its own."""

    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [str(Path(sys.executable).with_name("pitada")), *arguments],
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
            env={**os.environ, "PITADA_DATA_DIR": str(data_dir), "NO_COLOR": "1", "COLUMNS": "200"},
        )

    return run


@pytest.fixture
def pitada(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs `pitada` in this process: the same, without the second that Python takes to start."""
    monkeypatch.setenv("PITADA_DATA_DIR", str(data_dir))
    monkeypatch.setattr(output.console, "width", 200)
    opened: list[Database] = []
    create = Database.__init__

    def remember(database: Database, url: str, password: str | None = None) -> None:
        create(database, url, password)
        opened.append(database)

    monkeypatch.setattr(Database, "__init__", remember)

    def run(*arguments: str, says: str = "") -> "subprocess.CompletedProcess[str]":
        monkeypatch.setattr(sys, "argv", ["pitada", *arguments])
        monkeypatch.setattr(sys, "stdin", io.StringIO(says))
        out, err, code = io.StringIO(), io.StringIO(), 0
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                main()
            except SystemExit as ended:
                code = ended.code if isinstance(ended.code, int) else 0
        while opened:
            opened.pop().close()
        return subprocess.CompletedProcess(list(arguments), code, out.getvalue(), err.getvalue())

    return run


@pytest.fixture
def ledger(data_dir: Path) -> Database:
    """The ledger that the commands use, for what only dispensers do."""
    data_dir.mkdir()
    database = Database(f"sqlite:///{data_dir / 'ledger.db'}")
    database.migrate()
    return database


def data(ended: "subprocess.CompletedProcess[str]") -> Any:
    """What it printed as JSON."""
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def refused(ended: "subprocess.CompletedProcess[str]", code: int = 1) -> str:
    """What it said when it failed: a sentence, and no trace of the program."""
    assert ended.returncode == code, ended.stdout
    assert ended.stdout == ""
    assert "Traceback" not in ended.stderr
    return " ".join(ended.stderr.split())
