"""What the screens read."""

from typing import Any

from sqlalchemy import update

from protocol.states import ITEM_STATES, JOB_STATES
from services.ledger import queries, stock, tables
from services.ledger.settle import Incoming

TWO = [(1, 100), (2, 200)]


def ask(floor: Any, query: Any, *args: Any, **options: Any) -> Any:
    with floor.database.read() as tx:
        return query(tx, *args, **options)


def test_a_dispenser_is_shown_with_its_flasks(floor: Any) -> None:
    floor.offer("j", TWO)
    floor.settle(floor.status(), floor.telemetry())
    (shown,) = ask(floor, queries.dispensers)
    assert (shown.device, shown.online, shown.epoch, shown.rssi_dbm) == ("d-1", True, "aaaaaaaa", -60)
    assert [(flask.flask, flask.reserved_mg, flask.available_mg) for flask in shown.flasks][:2] == [
        (1, 100, 999_900),
        (2, 200, 999_800),
    ]
    assert ask(floor, queries.dispenser, "d-1") == shown
    assert ask(floor, queries.stock) == shown.flasks


def test_what_is_not_there_is_none(floor: Any) -> None:
    assert ask(floor, queries.dispenser, "d-9") is None
    assert ask(floor, queries.job, "j") is None


def test_a_flask_below_zero_asks_for_a_count(floor: Any) -> None:
    with floor.database.write() as tx:
        stock.count(tx, "d-1", 1, 50, by="ana", now_ms=1)
    floor.offer("j", [(1, 100)])
    floor.settle(floor.completed("j", floor.report(0, 1, 100)))
    first = ask(floor, queries.stock)[0]
    assert (first.stock_mg, first.needs_count) == (-50, True)


def test_a_job_is_shown_with_its_items_in_order(floor: Any) -> None:
    floor.offer("j", TWO)
    floor.settle(floor.completed("j", floor.report(0, 1, 100), floor.report(1, 2, 200, "failed", 20, "jammed")))
    shown = ask(floor, queries.job, "j")
    assert (shown.state, shown.seq, shown.ended_at_ms) == ("done_partial", 1, floor.now_ms)
    assert [(item.ingredient, item.state, item.dispensed_mg, item.error) for item in shown.items] == [
        ("spice 1", "done", 100, None),
        ("spice 2", "failed", 20, "jammed"),
    ]


def test_jobs_come_in_pages_latest_first_and_by_dispenser_and_state(floor: Any) -> None:
    floor.claim("d-2")
    for name in ("a", "b", "c"):
        floor.place(name, TWO)
    floor.offer("e", TWO, device="d-2")
    first = ask(floor, queries.jobs, limit=3)
    assert [job.job for job in first] == ["e", "c", "b"]
    assert [job.job for job in ask(floor, queries.jobs, before="b", limit=3)] == ["a"]
    assert [job.job for job in ask(floor, queries.jobs, device="d-2")] == ["e"]
    assert [job.job for job in ask(floor, queries.jobs, states=["queued"])] == ["c", "b", "a"]


def test_movements_come_in_pages_and_name_the_dispenser_that_did_it(floor: Any) -> None:
    floor.offer("j", TWO)
    floor.settle(floor.completed("j", floor.report(0, 1, 100), floor.report(1, 2, 200)))
    latest = ask(floor, queries.movements, device="d-1", limit=2)
    assert [(row.kind, row.delta_mg, row.by) for row in latest] == [
        ("dispense", -200, "d-1"),
        ("dispense", -100, "d-1"),
    ]
    rest = ask(floor, queries.movements, before=latest[-1].id)
    assert {row.by for row in rest} == {"test"}
    assert [row.kind for row in ask(floor, queries.movements, device="d-1", flask=1)] == ["dispense", "refill"]


def test_the_flips_tell_how_a_job_went(floor: Any) -> None:
    floor.offer("j", [(1, 100)])
    floor.settle(floor.accepted("j"))
    floor.settle(floor.progressed("j", 0, 1, 100, "dispensing"))
    floor.settle(floor.completed("j", floor.report(0, 1, 100)))
    told = [(flip.item, flip.from_state, flip.to_state, flip.says) for flip in ask(floor, queries.flips, "j")]
    assert told == [
        (None, "offered", "running", "device"),
        (0, "pending", "dispensing", "device"),
        (None, "running", "done", "device"),
        (0, "dispensing", "done", "device"),
    ]
    assert all(flip.reason for flip in ask(floor, queries.flips, "j"))


def test_dead_letters_are_shown_as_text(floor: Any) -> None:
    floor.settle(Incoming("nobody", b"\xffa"), Incoming("nobody", b"b"))
    latest, first = ask(floor, queries.dead_letters)
    assert {latest.payload, first.payload} == {"\ufffda", "b"}
    assert ask(floor, queries.dead_letters, before=latest.id) == (first,)


def test_items_in_doubt_wait_until_they_are_resolved(floor: Any) -> None:
    floor.offer("j", TWO)
    floor.settle(floor.completed("j", floor.report(0, 1, 100, "in_doubt"), floor.report(1, 2, 200)))
    (waiting,) = ask(floor, queries.in_doubt)
    assert (waiting.job, waiting.item, waiting.device, waiting.target_mg) == ("j", 0, "d-1", 100)
    with floor.database.write() as tx:
        stock.resolve(tx, "j", 0, outcome="not_dispensed", by="ana", now_ms=1)
    assert ask(floor, queries.in_doubt) == ()


def test_counts_name_every_state(floor: Any) -> None:
    floor.place("j", TWO)
    assert ask(floor, queries.job_counts) == {**dict.fromkeys(JOB_STATES, 0), "queued": 1}
    assert ask(floor, queries.item_counts) == {**dict.fromkeys(ITEM_STATES, 0), "pending": 2}


def test_items_and_movements_keep_the_ingredient_that_the_flask_held_then(floor: Any) -> None:
    floor.offer("j", TWO)
    floor.settle(floor.completed("j", floor.report(0, 1, 100), floor.report(1, 2, 200, "in_doubt")))
    with floor.database.write() as tx:
        stock.count(tx, "d-1", 1, 500, by="ana", now_ms=1)
        tx.execute(update(tables.flask).values(ingredient="mystery"))
        stock.refill(tx, "d-1", 1, 7, by="ana", now_ms=1)
    assert [item.ingredient for item in ask(floor, queries.job, "j").items] == ["spice 1", "spice 2"]
    assert [item.ingredient for item in ask(floor, queries.in_doubt)] == ["spice 2"]
    moved = ask(floor, queries.movements, "d-1", 1)
    assert [(one.kind, one.ingredient) for one in moved] == [
        ("refill", "mystery"),
        ("count", "spice 1"),
        ("dispense", "spice 1"),
        ("refill", "spice 1"),
    ]
