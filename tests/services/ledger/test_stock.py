"""Refills, counts and resolutions: each one movement, and the flask's cache with it."""

from typing import Any

import pytest

from services.ledger import stock
from services.ledger.audit import audit

TWO = [(1, 100), (2, 200)]


def in_doubt(floor: Any) -> None:
    floor.offer("j", TWO)
    floor.settle(
        floor.completed("j", floor.report(0, 1, 100, "in_doubt", error="interrupted"), floor.report(1, 2, 200))
    )


def lost(floor: Any) -> None:
    """In doubt by the server's word."""
    floor.offer("j", TWO)
    floor.settle(floor.status(epoch="bbbbbbbb"))


def resolve(floor: Any, outcome: str, weighed_mg: int | None = None) -> None:
    with floor.database.write() as tx:
        stock.resolve(tx, "j", 0, outcome=outcome, weighed_mg=weighed_mg, by="ana", now_ms=floor.now_ms)
    with floor.database.read() as tx:
        assert audit(tx).problems == []


def test_a_refill_adds_and_says_so(floor: Any) -> None:
    with floor.database.write() as tx:
        message = stock.refill(tx, "d-1", 1, 500, by="ana", now_ms=7, note="bag 12")
    assert (message.stock_mg, message.revision) == (1_000_500, 2)
    assert floor.rows("stock_movement")[-1]["note"] == "bag 12"


def test_a_count_moves_the_difference(floor: Any) -> None:
    with floor.database.write() as tx:
        message = stock.count(tx, "d-1", 1, 999_000, by="ana", now_ms=7)
    assert message.stock_mg == 999_000
    assert (floor.rows("stock_movement")[-1]["kind"], floor.rows("stock_movement")[-1]["delta_mg"]) == ("count", -1000)


@pytest.mark.parametrize("amount_mg", [0, -1, 1_000_000_000])
def test_a_refill_that_cannot_be_is_refused(floor: Any, amount_mg: int) -> None:
    with pytest.raises(stock.BadAmount), floor.database.write() as tx:
        stock.refill(tx, "d-1", 1, amount_mg, by="ana", now_ms=7)
    assert floor.row("flask", device="d-1", flask=1)["stock_mg"] == 1_000_000


@pytest.mark.parametrize(("device", "words"), [("d-1", "no flask 9"), ("d-7", "no dispenser d-7")])
def test_an_unknown_flask_is_named(floor: Any, device: str, words: str) -> None:
    with pytest.raises(stock.UnknownFlask, match=words), floor.database.write() as tx:
        stock.count(tx, device, 9, 1, by="ana", now_ms=7)


@pytest.mark.parametrize(
    ("outcome", "weighed_mg", "left_mg"),
    [("dispensed", None, 100), ("weighed", 37, 37), ("not_dispensed", None, 0), ("weighed", 0, 0)],
)
def test_a_resolution_debits_what_the_operator_says(
    floor: Any, outcome: str, weighed_mg: int | None, left_mg: int
) -> None:
    in_doubt(floor)
    resolve(floor, outcome, weighed_mg)
    moved = [-row["delta_mg"] for row in floor.rows("stock_movement") if row["kind"] == "resolve"]
    assert moved == ([left_mg] if left_mg else [])
    assert floor.row("flask", device="d-1", flask=1)["stock_mg"] == 1_000_000 - left_mg
    assert floor.row("job_item", job="j", item=0)["resolved_mg"] == left_mg
    floor.check_flips()


def test_an_item_is_resolved_once(floor: Any) -> None:
    in_doubt(floor)
    resolve(floor, "dispensed")
    with pytest.raises(stock.NotInDoubt, match="already"):
        resolve(floor, "not_dispensed")


def test_an_item_whose_end_is_known_cannot_be_resolved(floor: Any) -> None:
    in_doubt(floor)
    with pytest.raises(stock.NotInDoubt, match="is done"), floor.database.write() as tx:
        stock.resolve(tx, "j", 1, outcome="dispensed", by="ana", now_ms=7)


@pytest.mark.parametrize(
    ("outcome", "weighed_mg"), [("weighed", None), ("weighed", 201), ("dispensed", 5), ("eaten", None)]
)
def test_a_resolution_that_cannot_be_is_refused(floor: Any, outcome: str, weighed_mg: int | None) -> None:
    in_doubt(floor)
    with pytest.raises(stock.BadAmount):
        resolve(floor, outcome, weighed_mg)


def test_a_fact_that_comes_after_a_different_resolution_is_a_conflict(floor: Any) -> None:
    lost(floor)
    resolve(floor, "weighed", 37)
    settled = floor.settle(floor.progressed("j", 0, 1, 100))
    assert [row["reason"] for row in floor.rows("dead_letter")] == ["conflict"]
    assert settled.changed_jobs == ()
    assert floor.row("flask", device="d-1", flask=1)["stock_mg"] == 1_000_000 - 37


def test_a_fact_that_agrees_with_the_resolution_confirms_it_and_debits_nothing_more(floor: Any) -> None:
    lost(floor)
    resolve(floor, "dispensed")
    settled = floor.settle(floor.completed("j", floor.report(0, 1, 100), floor.report(1, 2, 200)))
    assert settled.dead_letters == 0
    assert floor.row("job", job="j")["state"] == "done"
    assert floor.row("flask", device="d-1", flask=1)["stock_mg"] == 999_900
    floor.check_flips()
