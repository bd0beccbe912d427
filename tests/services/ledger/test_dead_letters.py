"""What does not fit is kept with its reason, and delays nothing beside it."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from services.ledger import dead_letters, queries
from services.ledger.dead_letters import DROPPED, KEPT_BYTES, REASONS, DeadLetter
from services.ledger.settle import Incoming

TWO = [(1, 100), (2, 200)]
COMPLETION = "pitada/v1/d-1/job/completion"
READABLE = b'{"job":"j","seq":1,"epoch":"aaaaaaaa"'

# Each case: the reason, whether its sender gets a receipt, and the message.
CASES: dict[str, tuple[str, bool, Callable[[Any], Incoming]]] = {
    "a topic of nobody": ("bad_topic", False, lambda _: Incoming("pitada/v1/d-1/nowhere", b"{}")),
    "a topic of the server": ("bad_topic", False, lambda _: Incoming("pitada/v1/d-1/job/offer", b"{}")),
    "a topic with a zero": ("bad_topic", False, lambda _: Incoming("pitada/v1/d-1/\0/\ud800", b"{}")),
    "no JSON": ("malformed", False, lambda _: Incoming(COMPLETION, b'{"job":')),
    "no UTF-8": ("malformed", False, lambda _: Incoming(COMPLETION, b"\xff\x00\xfe")),
    "nested too deep": ("malformed", False, lambda _: Incoming(COMPLETION, b"[" * 4000)),
    "a number too long": ("malformed", False, lambda _: Incoming(COMPLETION, b'{"seq":' + b"9" * 4000 + b"}")),
    "wrong types": ("malformed", False, lambda _: Incoming(COMPLETION, b'{"job":7,"seq":"1","epoch":[]}')),
    "an empty accept": ("malformed", False, lambda _: Incoming("pitada/v1/d-1/job/accept", b"")),
    "readable but broken": ("malformed", True, lambda _: Incoming(COMPLETION, READABLE + b"}")),
    "5 KiB": ("too_large", False, lambda _: Incoming(COMPLETION, b"x" * 5120)),
    "5 KiB, readable": ("too_large", True, lambda _: Incoming(COMPLETION, READABLE + b" " * 5120 + b"}")),
    "20 KiB, readable": ("too_large", False, lambda _: Incoming(COMPLETION, READABLE + b" " * 20480 + b"}")),
    "an unclaimed dispenser": ("unknown_device", False, lambda floor: whole(floor, "j", device="d-99")),
    "an unknown job": ("unknown_job", True, lambda floor: whole(floor, "nobody's")),
    "another dispenser's job": ("other_device", True, lambda floor: whole(floor, "other")),
    "a wrong flask": ("wrong_item", False, lambda floor: floor.progressed("j", 0, 3, 100)),
    "a wrong amount": ("wrong_item", False, lambda floor: floor.progressed("j", 0, 1, 101)),
    "a wrong item": ("wrong_item", False, lambda floor: floor.progressed("j", 9, 1, 100)),
    "wrong items": ("wrong_item", True, lambda floor: floor.completed("j", floor.report(0, 1, 100))),
    "another number": ("not_offered", True, lambda floor: whole(floor, "j", seq=9)),
    "a job that was never taken": ("not_offered", False, lambda floor: floor.accepted("j", seq=9)),
}


def whole(floor: Any, job: str, **other: Any) -> Incoming:
    message: Incoming = floor.completed(job.replace("'", ""), floor.report(0, 1, 100), floor.report(1, 2, 200), **other)
    return message


@pytest.mark.parametrize("case", CASES)
def test_it_is_kept_with_its_reason_and_the_others_settle(floor: Any, case: str) -> None:
    reason, receipted, make = CASES[case]
    floor.claim("d-2")
    floor.offer("j", TWO)
    floor.offer("other", TWO, device="d-2")
    stray = make(floor)
    settled = floor.settle(floor.accepted("j"), stray, floor.progressed("j", 0, 1, 100))
    assert settled.dead_letters == 1
    (row,) = floor.rows("dead_letter")
    assert row["reason"] == reason
    assert row["payload"] == stray.payload[:KEPT_BYTES]
    assert row["size_bytes"] == len(stray.payload)
    assert bool(settled.receipts) is receipted
    assert floor.row("job_item", job="j", item=0)["state"] == "done"
    # Of a completion that is not this job's nothing is taken; but it is receipted, so nothing better will come.
    assert floor.row("job_item", job="j", item=1)["state"] == ("in_doubt" if case == "wrong items" else "pending")
    assert floor.row("job", job="other")["state"] == "offered"


def test_another_end_of_an_item_is_a_conflict_and_changes_nothing(floor: Any) -> None:
    floor.offer("j", TWO)
    floor.settle(floor.progressed("j", 0, 1, 100))
    before = floor.rows("job_item"), floor.rows("flask")
    settled = floor.settle(floor.progressed("j", 0, 1, 100, dispensed_mg=99))
    assert [row["reason"] for row in floor.rows("dead_letter")] == ["conflict"]
    assert (floor.rows("job_item"), floor.rows("flask")) == before
    assert settled.changed_jobs == ()


def test_a_completion_with_a_conflict_in_one_item_still_ends_the_others(floor: Any) -> None:
    floor.offer("j", TWO)
    floor.settle(floor.progressed("j", 0, 1, 100))
    settled = floor.settle(floor.completed("j", floor.report(0, 1, 100, dispensed_mg=99), floor.report(1, 2, 200)))
    assert settled.dead_letters == 1
    assert len(settled.receipts) == 1
    assert [row["dispensed_mg"] for row in floor.rows("job_item")] == [100, 200]
    assert floor.row("job", job="j")["state"] == "done"


def test_the_same_content_again_only_counts_up(floor: Any) -> None:
    for _ in range(2):
        settled = floor.settle(Incoming("nobody", b"x"), Incoming("nobody", b"x"), Incoming("nobody", b"y"))
        assert settled.dead_letters == 3
    assert sorted((row["payload"], row["times"]) for row in floor.rows("dead_letter")) == [(b"x", 4), (b"y", 2)]


def test_the_oldest_are_dropped_above_the_limit_and_counted(floor: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dead_letters, "KEPT_ROWS", 3)
    letters = [DeadLetter("t", str(number).encode(), "malformed", "") for number in range(5)]
    for letter in letters:
        with floor.database.write() as tx:
            dead_letters.keep(tx, [letter, letter], floor.now_ms)
    assert [row["payload"] for row in floor.rows("dead_letter")] == [b"2", b"3", b"4"]
    with floor.database.read() as tx:
        assert queries.total(tx, DROPPED) == 2


def test_every_case_has_a_documented_reason() -> None:
    assert {reason for reason, _, _ in CASES.values()} | {"conflict", "unsettled"} == set(REASONS)
    json.dumps(REASONS)
