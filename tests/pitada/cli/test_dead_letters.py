"""Dead letters, as a shell sees them: list, show, replay, drop."""

import json

from protocol import codec, topics
from protocol.messages import ItemReport, JobCompleted
from services.ledger.database import Database
from services.ledger.settle import Incoming, settle
from tests.pitada.cli.conftest import Run, data, refused

# What no dispenser has: a job that the server does not know.
REPORT = JobCompleted(
    job="lost", seq=1, state="done", epoch="aaaaaaaa", boot=1, ms=5,
    items=(
        ItemReport(
            item=0, flask=1, state="done", target_mg=5_000, dispensed_mg=5_000, duration_ms=600, error=None
        ),
    ),
)  # fmt: skip  # one line a field would hide the few that matter


def say(ledger: Database, *messages: Incoming) -> None:
    with ledger.write() as tx:
        assert settle(tx, messages, 1_800_000_000_000).dead_letters == len(messages)


def test_list_show_replay_and_drop(pitada: Run, ledger: Database) -> None:
    whole = Incoming(topics.COMPLETION.topic("kitchen"), codec.encode(REPORT))
    say(ledger, whole, Incoming(topics.COMPLETION.topic("kitchen"), b"x" * 9000))
    ledger.close()
    # Rows are written in the order of their content.
    listed = data(pitada("dead-letters", "--json"))
    assert listed == data(pitada("dead-letters", "list", "--json"))
    assert len(data(pitada("dead-letters", "--limit", "1", "--json"))) == 1
    number = {one["reason"]: str(one["id"]) for one in listed}
    assert data(pitada("dead-letters", "show", number["too_large"], "--json"))["size_bytes"] == 9000
    shown = pitada("dead-letters", "show", number["unknown_device"]).stdout
    assert "Claim it; it will report again." in shown
    assert whole.payload.decode() in shown

    ended = pitada("dead-letters", "replay", number["unknown_device"], "--json")
    assert (ended.returncode, json.loads(ended.stdout)["reason"]) == (1, "unknown_device")
    data(pitada("devices", "claim", "kitchen", "1=Salt:500", "--json"))
    ended = pitada("dead-letters", "replay", number["unknown_device"])
    assert "still changes nothing (unknown_job): there is no job lost. It is kept." in ended.stdout
    assert "was cut to 8192 of 9000 bytes" in refused(pitada("dead-letters", "replay", number["too_large"]))

    assert pitada("dead-letters", "drop", number["too_large"], says="n\n").returncode == 1
    assert len(data(pitada("dead-letters", "--json"))) == 2
    assert pitada("dead-letters", "drop", number["too_large"], says="y\n").returncode == 0
    assert data(pitada("dead-letters", "drop", number["unknown_device"], "--yes", "--json"))["dropped"] is True
    assert data(pitada("dead-letters", "--json")) == []


def test_a_report_that_came_before_its_dispenser_was_claimed_is_settled(pitada: Run, ledger: Database) -> None:
    ended = ItemReport(
        item=0, flask=1, state="skipped", target_mg=5_000, dispensed_mg=0, duration_ms=0, error="cancelled"
    )
    data(pitada("devices", "claim", "kitchen", "1=Salt:500", "--json"))
    job = data(pitada("order", "kitchen", "1=5", "--json"))["job"]
    record = JobCompleted(job=job, seq=1, state="cancelled", items=(ended,), epoch="aaaaaaaa", boot=1, ms=5)
    say(ledger, Incoming(topics.COMPLETION.topic("pantry"), codec.encode(record)))
    ledger.close()
    (letter,) = data(pitada("dead-letters", "--json"))
    assert letter["reason"] == "unknown_device"
    data(pitada("devices", "claim", "pantry", "1=Salt:500", "--json"))
    assert "is for kitchen, not pantry" in pitada("dead-letters", "replay", str(letter["id"])).stdout


def test_a_number_that_is_none_is_refused(pitada: Run) -> None:
    for command in (("show", "7"), ("replay", "7"), ("drop", "7", "--yes")):
        assert "no dead letter 7" in refused(pitada("dead-letters", *command))
    refused(pitada("dead-letters", "replay"), 2)
    refused(pitada("dead-letters", "replay", "one"), 2)
    refused(pitada("dead-letters", "bury", "1"), 2)
