"""Facts become ledger rows, once, whatever the order. `floor` audits the ledger after every batch."""

import threading
from typing import Any

import pytest
from sqlalchemy import Connection, event

from protocol.messages import CompletionReceived
from services.ledger.settle import Incoming, settle

TWO = [(1, 100), (2, 200)]


def whole_job(floor: Any, job: str = "j", seq: int = 1) -> list[Incoming]:
    return [
        floor.accepted(job, seq=seq),
        floor.progressed(job, 0, 1, 100, "dispensing", seq=seq),
        floor.progressed(job, 0, 1, 100, seq=seq),
        floor.progressed(job, 1, 2, 200, "dispensing", seq=seq),
        floor.progressed(job, 1, 2, 200, seq=seq),
        floor.completed(job, floor.report(0, 1, 100), floor.report(1, 2, 200), seq=seq),
    ]


def test_a_job_that_is_done_debits_each_flask_once_and_frees_its_reservation(floor: Any) -> None:
    floor.offer("j", TWO)
    settled = floor.settle(*whole_job(floor))
    assert floor.row("job", job="j")["state"] == "done"
    assert [(row["stock_mg"], row["reserved_mg"]) for row in floor.rows("flask")][:2] == [(999_900, 0), (999_800, 0)]
    assert [row["delta_mg"] for row in floor.rows("stock_movement") if row["kind"] == "dispense"] == [-100, -200]
    assert settled.receipts == (("d-1", CompletionReceived(job="j", seq=1, epoch="aaaaaaaa")),)
    assert [(device, flask, message.stock_mg) for device, flask, message in settled.stock] == [
        ("d-1", 1, 999_900),
        ("d-1", 2, 999_800),
    ]
    assert settled.changed_jobs == ("j",)
    assert settled.dead_letters == 0
    floor.check_flips()


def test_a_completion_alone_settles_the_whole_job(floor: Any) -> None:
    floor.offer("j", TWO)
    floor.settle(whole_job(floor)[-1])
    alone = floor.truth()
    floor.clear()
    floor.offer("j", TWO)
    floor.settle(*whole_job(floor))
    assert floor.truth() == alone


def test_one_by_one_ends_as_all_at_once(floor: Any) -> None:
    floor.offer("j", TWO)
    for message in whole_job(floor):
        floor.settle(message)
    floor.check_flips()
    one_by_one = floor.truth()
    floor.clear()
    floor.offer("j", TWO)
    floor.settle(*whole_job(floor))
    assert floor.truth() == one_by_one


def test_a_repeated_completion_is_receipted_again_and_changes_nothing(floor: Any) -> None:
    floor.offer("j", TWO)
    floor.settle(*whole_job(floor))
    before = floor.truth()
    settled = floor.settle(whole_job(floor)[-1])
    assert len(settled.receipts) == 1
    assert settled.changed_jobs == ()
    assert settled.stock == ()
    assert floor.truth() == before


def test_what_left_a_flask_that_was_closed_early_is_a_partial_movement(floor: Any) -> None:
    floor.offer("j", TWO)
    early = floor.report(0, 1, 100, "failed", 40, "cancelled")
    never = floor.report(1, 2, 200, "failed", 0, "jammed")
    floor.settle(floor.completed("j", early, never))
    moved = [(row["kind"], row["delta_mg"]) for row in floor.rows("stock_movement") if row["job"] == "j"]
    assert moved == [("partial", -40)]
    assert floor.row("job", job="j")["state"] == "failed"


def test_an_item_in_doubt_frees_its_reservation_and_debits_nothing(floor: Any) -> None:
    floor.offer("j", TWO)
    floor.settle(
        floor.completed("j", floor.report(0, 1, 100, "in_doubt", error="interrupted"), floor.report(1, 2, 200))
    )
    first = floor.row("flask", device="d-1", flask=1)
    assert (first["stock_mg"], first["reserved_mg"]) == (1_000_000, 0)
    assert floor.row("job", job="j")["state"] == "done_partial"


@pytest.mark.parametrize("state", ["cancelled", "expired"])
def test_a_dispenser_that_dispensed_wins_over_the_server_that_ended_the_job(floor: Any, state: str) -> None:
    floor.offer("j", TWO)
    floor.end_by_server("j", state)
    floor.settle(*whole_job(floor))
    assert floor.row("job", job="j")["state"] == "done"
    assert floor.row("flask", device="d-1", flask=1)["stock_mg"] == 999_900
    assert floor.row("flask", device="d-1", flask=1)["reserved_mg"] == 0


def test_a_completion_without_items_skips_every_item(floor: Any) -> None:
    floor.offer("j", TWO)
    floor.settle(floor.completed("j"))
    assert floor.row("job", job="j")["state"] == "cancelled"
    assert {row["state"] for row in floor.rows("job_item")} == {"skipped"}
    assert floor.row("flask", device="d-1", flask=1)["reserved_mg"] == 0


def test_a_job_that_lost_its_number_in_a_restored_backup_takes_the_dispensers(floor: Any) -> None:
    floor.place("j", TWO)
    floor.settle(*whole_job(floor, seq=7))
    assert (floor.row("job", job="j")["state"], floor.row("job", job="j")["seq"]) == ("done", 7)
    assert floor.row("device", device="d-1")["next_seq"] == 8


def test_a_job_cannot_take_a_number_that_another_has(floor: Any) -> None:
    floor.offer("j", TWO, seq=7)
    floor.place("k", TWO)
    settled = floor.settle(*whole_job(floor, "k", seq=7))
    assert settled.dead_letters == 6
    assert floor.row("job", job="k")["state"] == "queued"


def test_a_jobs_facts_from_another_flash_store_are_not_taken(floor: Any) -> None:
    floor.offer("j", TWO)
    settled = floor.settle(
        floor.completed("j", floor.report(0, 1, 100), floor.report(1, 2, 200), epoch="bbbbbbbb"),
        floor.completed("j", floor.report(0, 1, 100), floor.report(1, 2, 200), seq=2),
    )
    assert [row["reason"] for row in floor.rows("dead_letter")] == ["not_offered", "not_offered"]
    assert len(settled.receipts) == 2
    assert floor.row("job", job="j")["state"] == "offered"


def test_an_empty_payload_that_clears_a_retained_message_says_nothing(floor: Any) -> None:
    topics = ("status", "flask/1/progress", "job/completion")
    settled = floor.settle(*[Incoming(f"pitada/v1/d-1/{topic}", b"") for topic in topics])
    assert settled.dead_letters == 0


def test_the_statements_of_a_batch_do_not_grow_with_it(floor: Any) -> None:
    counts = []
    for jobs in (1, 40):
        floor.clear()
        messages = [floor.status(last_seq=jobs), floor.telemetry(), Incoming("nobody", b"")]
        for seq in range(1, jobs + 1):
            floor.offer(f"j{seq}", TWO, seq=seq)
            messages += whole_job(floor, f"j{seq}", seq=seq)
            messages.append(floor.progressed(f"unknown{seq}", 0, 1, 100))
        ran: list[str] = []

        def note(_tx: Connection, _cursor: object, sql: str, *_: object, ran: list[str] = ran) -> None:
            ran.append(sql)

        event.listen(floor.database.engine, "before_cursor_execute", note)
        floor.settle(*messages)
        event.remove(floor.database.engine, "before_cursor_execute", note)
        counts.append(len(ran))
    assert counts[0] == counts[1]


def test_two_that_settle_the_same_messages_at_once_do_not_block_each_other_for_ever(floor: Any) -> None:
    messages: list[Incoming] = []
    for number in range(2, 12):
        floor.claim(f"d-{number}")
        floor.offer(f"j{number}", TWO, device=f"d-{number}")
        reports = (floor.report(0, 1, 100), floor.report(1, 2, 200))
        messages += [
            floor.status(device=f"d-{number}"),
            floor.progressed(f"j{number}", 0, 1, 100, device=f"d-{number}"),
            floor.completed(f"j{number}", *reports, device=f"d-{number}"),
            Incoming(f"stray{number}", b""),
        ]
    together = threading.Barrier(2)
    settled: list[int] = []

    def work(batch: list[Incoming]) -> None:
        together.wait(10)
        for _ in range(5):
            with floor.database.write() as tx:
                settled.append(len(settle(tx, batch, floor.now_ms).receipts))

    threads = [threading.Thread(target=work, args=(batch,)) for batch in (messages, messages[::-1])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert settled == [10] * 10
    floor.settle()
    assert {row["state"] for row in floor.rows("job")} == {"done"}
    assert {row["times"] for row in floor.rows("dead_letter")} == {10}


def test_a_job_whose_report_has_other_items_ends_in_doubt_as_it_is_receipted(floor: Any) -> None:
    floor.offer("j", TWO)
    settled = floor.settle(floor.accepted("j"), floor.completed("j", floor.report(0, 3, 100)))
    assert (settled.dead_letters, len(settled.receipts)) == (1, 1)
    assert (floor.row("job", job="j")["state"], floor.row("job", job="j")["says"]) == ("failed", "server")
    assert [row["state"] for row in floor.rows("job_item")] == ["in_doubt", "in_doubt"]
    assert [floor.row("flask", device="d-1", flask=flask)["reserved_mg"] for flask in (1, 2)] == [0, 0]
    floor.check_flips()
