"""A dead letter is settled again by the same path: it changes what it can, or stays with the reason of today."""

import threading
from typing import Any

import pytest

from services.ledger import dead_letters, queries
from services.ledger.dead_letters import KEPT_BYTES
from services.ledger.replay import CutLetter, PassedLetter, Replayed, UnknownLetter, drop, replay
from services.ledger.settle import Incoming

TWO = [(1, 100), (2, 200)]
COMPLETION = "pitada/v1/d-1/job/completion"


def letter(floor: Any) -> Any:
    with floor.database.read() as tx:
        (found,) = queries.dead_letters(tx)
    return found


def again(floor: Any, number: int) -> Replayed:
    floor.now_ms += 10
    with floor.database.write() as tx:
        return replay(tx, number, floor.now_ms)


def report(floor: Any, job: str = "j", device: str = "d-1") -> Incoming:
    message: Incoming = floor.completed(job, floor.report(0, 1, 100), floor.report(1, 2, 200), device=device)
    return message


def test_a_report_that_came_before_its_dispenser_was_claimed_settles_when_it_is(floor: Any) -> None:
    floor.settle(report(floor, device="d-2"))
    kept = letter(floor)
    assert kept.reason == "unknown_device"
    floor.claim("d-2")
    floor.offer("j", TWO, device="d-2")
    assert again(floor, kept.id) == Replayed(None, "", ("j",), (("d-2", 1), ("d-2", 2)))
    assert floor.row("job", job="j")["state"] == "done"
    assert floor.row("flask", device="d-2", flask=2)["stock_mg"] == 999_800
    assert floor.rows("dead_letter") == []
    floor.settle()
    floor.check_flips()


def test_what_the_ledger_knows_by_now_changes_nothing_and_the_letter_goes(floor: Any) -> None:
    floor.settle(report(floor))
    kept = letter(floor)
    floor.offer("j", TWO)
    floor.settle(report(floor))
    before = floor.truth()
    assert again(floor, kept.id) == Replayed(None, "")
    assert [line for line in before if not line.startswith("dead_letter")] == floor.truth()


def test_what_still_does_not_fit_stays_with_the_reason_of_today(floor: Any) -> None:
    floor.settle(report(floor), report(floor))
    kept = letter(floor)
    assert (kept.reason, kept.times) == ("unknown_job", 2)
    came_of_it = again(floor, kept.id)
    assert (came_of_it.reason, letter(floor)) == ("unknown_job", kept), "not even counted"
    floor.claim("d-2")
    floor.offer("j", TWO, device="d-2")
    came_of_it = again(floor, kept.id)
    assert (came_of_it.reason, came_of_it.detail) == ("other_device", "job j is for d-2, not d-1")
    assert letter(floor) == kept.model_copy(update={"reason": "other_device", "detail": came_of_it.detail})
    assert floor.row("job", job="j")["state"] == "offered"


def test_a_completion_of_which_one_item_conflicts_changes_nothing_of_the_others_either(floor: Any) -> None:
    floor.offer("j", TWO)
    floor.settle(floor.progressed("j", 0, 1, 100))
    floor.settle(floor.progressed("j", 0, 1, 100, dispensed_mg=99))
    kept = letter(floor)
    before = floor.truth()
    assert again(floor, kept.id).reason == "conflict"
    assert floor.truth() == before


def test_a_letter_that_was_cut_cannot_be_replayed(floor: Any) -> None:
    floor.settle(Incoming(COMPLETION, b"x" * (KEPT_BYTES + 1)))
    with pytest.raises(CutLetter, match=f"cut to {KEPT_BYTES} of {KEPT_BYTES + 1} bytes"):
        again(floor, letter(floor).id)
    assert letter(floor).times == 1


def test_how_a_dispenser_was_then_is_not_said_as_if_it_were_so_now(floor: Any) -> None:
    for message in (floor.status(device="d-2"), floor.telemetry(device="d-2")):
        floor.settle(message)
        kept = letter(floor)
        with pytest.raises(PassedLetter, match="d-2"):
            again(floor, kept.id)
        with floor.database.write() as tx:
            drop(tx, kept.id)


def test_a_dispenser_is_not_seen_by_what_it_said_long_ago(floor: Any) -> None:
    floor.settle(report(floor))
    floor.settle(floor.telemetry())
    seen_at_ms = floor.row("device", device="d-1")["seen_at_ms"]
    floor.offer("j", TWO)
    floor.now_ms += 60_000
    assert again(floor, letter(floor).id).changed_jobs == ("j",)
    assert floor.row("device", device="d-1")["seen_at_ms"] == seen_at_ms


def test_a_topic_of_nobody_stays_one(floor: Any) -> None:
    floor.settle(Incoming("pitada/v1/d-1/nowhere", b"{}"))
    assert again(floor, letter(floor).id).reason == "bad_topic"


def test_a_letter_that_is_not_there_is_refused(floor: Any) -> None:
    floor.settle(Incoming("nobody", b"x"))
    number = letter(floor).id
    with floor.database.write() as tx:
        drop(tx, number)
    assert floor.rows("dead_letter") == []
    for way in (lambda tx: drop(tx, number), lambda tx: replay(tx, number, 1)):
        with pytest.raises(UnknownLetter, match=str(number)), floor.database.write() as tx:
            way(tx)
    with floor.database.read() as tx:
        assert queries.dead_letter(tx, number) is None


def test_replayed_by_two_at_once_it_settles_once(floor: Any) -> None:
    floor.settle(report(floor))
    number = letter(floor).id
    floor.offer("j", TWO)
    start = threading.Barrier(2)
    outcomes: list[str] = []

    def work() -> None:
        start.wait(timeout=30)
        try:
            with floor.database.write() as tx:
                outcomes.append(str(replay(tx, number, floor.now_ms).changed_jobs))
        except UnknownLetter:
            outcomes.append("gone")

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(outcomes) == ["('j',)", "gone"]
    assert floor.row("flask", device="d-1", flask=1)["stock_mg"] == 999_900


def test_the_bound_on_letters_holds_for_a_replay_too(floor: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dead_letters, "KEPT_ROWS", 2)
    floor.settle(Incoming("nobody", b"x"), Incoming("nobody", b"y"))
    numbers = [row["id"] for row in floor.rows("dead_letter")]
    assert again(floor, numbers[0]).reason == "bad_topic"
    assert [row["id"] for row in floor.rows("dead_letter")] == numbers
