"""The commands as a shell sees them: data on standard output, one sentence on standard error, exit codes.

Most run in this process; the first test shows that a process of its own says the same.
"""

import re
from pathlib import Path

import pytest
from sqlalchemy import update

from pitada.cli import output
from protocol.errors import FAULTS, ITEM_ERRORS
from services.ledger import tables
from services.ledger.database import Database
from tests.pitada.cli.conftest import Run, data


@pytest.mark.parametrize(
    ("command", "code"), [(("stock", "--json"), 0), (("job", "no-such-job"), 1), (("order", "kitchen", "five"), 2)]
)
def test_a_process_of_its_own_says_the_same(shell: Run, pitada: Run, command: tuple[str, ...], code: int) -> None:
    data(pitada("devices", "claim", "kitchen", "1=Salt:500", "--json"))
    ours, its = pitada(*command), shell(*command)
    assert (its.returncode, its.stdout, words(its.stderr)) == (code, ours.stdout, words(ours.stderr))
    assert ours.returncode == code


def words(said: str) -> list[str]:
    """Without the usage, which begins with how Python was started, and the box, which is as wide as the terminal."""
    return re.findall(r"[\w'-]+", said.rpartition("Error")[2])


def test_claim_order_and_read_back(pitada: Run) -> None:
    claimed = data(pitada("devices", "claim", "kitchen", "1=Salt:500:8000", "2=Sugar:1000", "--json"))
    assert claimed["device"] == "kitchen"
    assert len(claimed["password"]) >= 20
    assert claimed["claim_code"] == f"kitchen:{claimed['password']}"
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


def test_every_error_and_fault_is_said_in_words(pitada: Run, ledger: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output.console, "width", 400)
    data(pitada("devices", "claim", "kitchen", "1=Salt:500:8000", "--json"))
    job = data(pitada("order", "kitchen", "1=2.5", "--json"))["job"]
    for code, words in ITEM_ERRORS.items():
        with ledger.write() as tx:
            tx.execute(update(tables.job_item).values(error=code))
        assert words in pitada("job", job).stdout
    for code, words in FAULTS.items():
        with ledger.write() as tx:
            tx.execute(update(tables.device).values(fault=code))
        assert words in pitada("devices", "list").stdout
    ledger.close()


@pytest.mark.parametrize(
    "command",
    [("jobs",), ("stock",), ("audit",), ("devices", "list"), ("dead-letters",), ("recipes", "list"), ("in-doubt",)],
)
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


def test_a_backup_comes_back_and_replaces_nothing_without_yes(pitada: Run, tmp_path: Path) -> None:
    data(pitada("devices", "claim", "kitchen", "1=Salt:500:8000", "--json"))
    file = str(tmp_path / "monday.backup")
    assert data(pitada("backup", file, "--json"))["size_bytes"] > 0
    data(pitada("order", "kitchen", "1=2.5", "--json"))
    for command in (("backup", file), ("restore", file)):
        refused = pitada(*command)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert "--yes" in refused.stderr
    assert len(data(pitada("jobs", "--json"))) == 1
    said = pitada("restore", file, "--yes")
    assert said.returncode == 0
    assert "0 divergences" in said.stdout
    assert data(pitada("jobs", "--json")) == []


def test_migrate_lets_services_start_and_changes_no_account_when_repeated(shell: Run, tmp_path: Path) -> None:
    assert shell("migrate").returncode == 0
    assert shell("broker-config", str(tmp_path / "broker")).returncode == 0
    before = (tmp_path / "broker" / "passwords").read_text()
    assert [line.split(":")[0] for line in before.splitlines()] == ["svc_dashboard", "svc_dispatch", "svc_ingest"]
    (tmp_path / "data" / "service-passwords.json").unlink()
    assert shell("migrate").returncode == 0
    assert shell("broker-config", str(tmp_path / "broker")).returncode == 0
    assert (tmp_path / "broker" / "passwords").read_text() == before
