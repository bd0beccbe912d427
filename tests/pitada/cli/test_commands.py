"""The commands as a shell sees them: data on standard output, one sentence on standard error, exit codes."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def pitada(tmp_path: Path) -> Run:
    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [str(Path(sys.executable).with_name("pitada")), *arguments],
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
            env={**os.environ, "PITADA_DATA_DIR": str(tmp_path / "data"), "NO_COLOR": "1", "COLUMNS": "200"},
        )

    return run


def data(ended: "subprocess.CompletedProcess[str]") -> Any:
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def test_claim_order_and_read_back(pitada: Run) -> None:
    claimed = data(pitada("devices", "claim", "kitchen", "1=Salt:500:8000", "2=Sugar:1000", "--json"))
    assert claimed["device"] == "kitchen"
    assert len(claimed["password"]) >= 20
    job = data(pitada("order", "kitchen", "1=2.5", "2=10", "--json"))
    assert (job["state"], [item["target_mg"] for item in job["items"]]) == ("queued", [2_500, 10_000])
    assert [one["job"] for one in data(pitada("jobs", "--json"))] == [job["job"]]
    assert data(pitada("job", job["job"], "--json"))["log"]
    salt = data(pitada("stock", "--json"))[0]
    assert (salt["stock_mg"], salt["reserved_mg"], salt["available_mg"]) == (500_000, 2_500, 497_500)
    assert data(pitada("audit", "--json"))["divergences"] == 0
    assert data(pitada("cancel", job["job"], "--json"))["state"] == "cancelled"
    assert data(pitada("stock", "--json"))[0]["reserved_mg"] == 0
    assert data(pitada("dead-letters", "--json")) == []
    (device,) = data(pitada("devices", "list", "--json"))
    assert (device["online"], len(device["flasks"])) == (False, 2)


@pytest.mark.parametrize("command", [("jobs",), ("stock",), ("audit",), ("devices", "list"), ("dead-letters",)])
def test_an_empty_house_answers_every_read(pitada: Run, command: tuple[str, ...]) -> None:
    ended = pitada(*command)
    assert ended.returncode == 0
    assert ended.stdout.strip()
    assert pitada(*command, "--json").returncode == 0


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (("order", "nobody", "1=5"), "no dispenser 'nobody'"),
        (("order", "kitchen", "9=5"), "no flask 9"),
        (("order", "kitchen", "1=9999"), "available"),
        (("cancel", "no-such-job"), "no-such-job"),
        (("job", "no-such-job"), "no-such-job"),
        (("devices", "claim", "kitchen", "1=Salt:500"), "kitchen"),
        (("devices", "password", "nobody"), "nobody"),
        (("certificates", "certificates", "--host", "not a name"), "not a name"),
        (("serve", "ingest"), "pitada migrate"),
    ],
)
def test_a_failure_is_one_sentence_and_exit_code_1(pitada: Run, command: tuple[str, ...], says: str) -> None:
    data(pitada("devices", "claim", "kitchen", "1=Salt:500", "--json"))
    ended = pitada(*command)
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert says in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    "command",
    [
        ("order",),
        ("order", "kitchen", "five"),
        ("nonsense",),
        ("demo", "--exit"),
        ("fleet", "--exit"),
        ("devices", "claim", "kitchen", "x"),
        ("broker-config", "broker", "--key", "broker.key"),
        ("serve", "nothing"),
    ],
)
def test_misuse_is_exit_code_2(pitada: Run, command: tuple[str, ...]) -> None:
    ended = pitada(*command)
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr


def test_migrate_lets_services_start_and_changes_no_account_when_repeated(pitada: Run, tmp_path: Path) -> None:
    assert pitada("migrate").returncode == 0
    assert pitada("broker-config", str(tmp_path / "broker")).returncode == 0
    before = (tmp_path / "broker" / "passwords").read_text()
    assert [line.split(":")[0] for line in before.splitlines()] == ["svc_dashboard", "svc_dispatch", "svc_ingest"]
    (tmp_path / "data" / "service-passwords.json").unlink()
    assert pitada("migrate").returncode == 0
    assert pitada("broker-config", str(tmp_path / "broker")).returncode == 0
    assert (tmp_path / "broker" / "passwords").read_text() == before
