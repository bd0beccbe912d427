"""Refill, count, and settle what is in doubt, as a shell sees it."""

import pytest
from sqlalchemy import update

from protocol import codec, topics
from protocol.messages import ItemReport, JobCompleted
from services.ledger import tables
from services.ledger.database import Database
from services.ledger.settle import Incoming, settle
from tests.pitada.cli.conftest import Run, data, refused


def leave_in_doubt(ledger: Database, job: str, targets: tuple[int, ...]) -> None:
    """The dispenser `kitchen` took the job, lost power with each flask open, and says so."""
    taken = {"state": "offered", "rank": 1, "seq": 1, "epoch": "aaaaaaaa"}
    reports = tuple(
        ItemReport(
            item=n, flask=1, state="in_doubt", target_mg=target_mg, dispensed_mg=None, duration_ms=None,
            error="interrupted",
        )
        for n, target_mg in enumerate(targets)
    )  # fmt: skip  # one line a field would hide the few that matter
    record = JobCompleted(job=job, seq=1, state="failed", items=reports, epoch="aaaaaaaa", boot=1, ms=5)
    with ledger.write() as tx:
        tx.execute(update(tables.device).values(epoch="aaaaaaaa", next_seq=2))
        tx.execute(update(tables.job).values(taken))
        assert settle(tx, [Incoming(topics.COMPLETION.topic("kitchen"), codec.encode(record))], 1).dead_letters == 0


def test_refill_and_count_change_what_the_ledger_says_the_flask_holds(pitada: Run) -> None:
    data(pitada("devices", "claim", "kitchen", "1=Salt:500:8000", "--json"))
    filled = data(pitada("refill", "kitchen", "1", "250.5", "--note", "batch 7", "--json"))
    assert (filled["device"], filled["flask"], filled["ingredient"], filled["stock_mg"]) == (
        "kitchen",
        1,
        "Salt",
        750_500,
    )
    assert (
        "Counted 740 g: flask 1 (Salt) of kitchen holds 740 g, 0 g of it reserved."
        in pitada("count", "kitchen", "1", "740g").stdout
    )
    assert data(pitada("stock", "--json"))[0]["stock_mg"] == 740_000
    assert data(pitada("audit", "--json"))["movements"] == 3


def test_what_is_in_doubt_is_listed_until_somebody_says_what_it_was(pitada: Run, ledger: Database) -> None:
    data(pitada("devices", "claim", "kitchen", "1=Salt:500:8000", "--json"))
    job = data(pitada("order", "kitchen", "1=5", "1=6", "1=7", "--json"))["job"]
    leave_in_doubt(ledger, job, (5_000, 6_000, 7_000))
    assert [(one["job"], one["item"]) for one in data(pitada("in-doubt", "--json"))] == [(job, 0), (job, 1), (job, 2)]
    assert "0 to 5" in pitada("in-doubt").stdout
    assert data(pitada("resolve", job, "0", "--dispensed", "--json"))["stock_mg"] == 495_000
    assert data(pitada("resolve", job, "1", "--not-dispensed", "--json"))["stock_mg"] == 495_000
    assert (
        "Item 2 gave 1.25 g: flask 1 (Salt) of kitchen holds 493.75 g"
        in pitada("resolve", job, "2", "--weighed", "1.25").stdout
    )
    assert data(pitada("in-doubt", "--json")) == []
    assert "was resolved as dispensed already" in refused(pitada("resolve", job, "0", "--not-dispensed"))
    assert data(pitada("audit", "--json"))["divergences"] == 0
    ledger.close()


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (("refill", "kitchen", "9", "5"), "no flask 9"),
        (("refill", "nobody", "1", "5"), "no dispenser nobody"),
        (("refill", "kitchen", "1", "0"), "give an amount from 1"),
        (("count", "kitchen", "1", "1000001"), "give an amount from 0"),
        (("resolve", "no-such-job", "0", "--dispensed"), "no-such-job"),
    ],
)
def test_a_failure_is_one_sentence_and_exit_code_1(pitada: Run, command: tuple[str, ...], says: str) -> None:
    data(pitada("devices", "claim", "kitchen", "1=Salt:500", "--json"))
    assert says in refused(pitada(*command))


@pytest.mark.parametrize(
    "command",
    [
        ("refill", "kitchen", "1"),
        ("refill", "kitchen", "one", "5"),
        ("count", "kitchen", "1", "lots"),
        ("resolve", "job", "0"),
        ("resolve", "job", "0", "--dispensed", "--weighed", "5"),
    ],
)
def test_misuse_is_exit_code_2(pitada: Run, command: tuple[str, ...]) -> None:
    refused(pitada(*command), 2)
