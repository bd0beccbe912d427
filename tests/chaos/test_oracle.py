"""The oracle by hand: what was said, and what must then be in the tables."""

import json

from tests.chaos.oracle import Order, Tables, final_tables

ORDERS = [Order("j", "d", [(1, 100), (2, 200)]), Order("k", "d", [(1, 50)])]
STOCK_MG = {("d", 1): 1_000, ("d", 2): 1_000}


def progress(item: int, state: str, dispensed_mg: int | None) -> tuple[str, bytes]:
    fact = {"job": "j", "item": item, "state": state, "dispensed_mg": dispensed_mg}
    return f"pitada/v1/d/flask/{item + 1}/progress", json.dumps(fact).encode()


def completion(*ends: tuple[str, int | None]) -> tuple[str, bytes]:
    items = [{"item": item, "state": state, "dispensed_mg": mg} for item, (state, mg) in enumerate(ends)]
    return "pitada/v1/d/job/completion", json.dumps({"job": "j", "items": items}).encode()


def test_what_was_only_begun_runs_and_keeps_its_reservation() -> None:
    tables = final_tables(ORDERS, [progress(0, "done", 99), progress(1, "dispensing", None)], STOCK_MG)
    assert tables.jobs == {"j": "running", "k": "offered"}
    assert tables.movements == {("j", 0): ("d", 1, "dispense", -99)}
    assert tables.flasks == {("d", 1): (901, 50), ("d", 2): (1_000, 200)}


def test_a_completion_ends_every_item_whatever_comes_before_after_or_twice() -> None:
    said = [progress(0, "dispensing", None), completion(("done", 99), ("failed", 20)), progress(0, "done", 99)]
    for order in (said, said[::-1], said * 2):
        tables = final_tables(ORDERS, order, STOCK_MG)
        assert tables.jobs["j"] == "done_partial"
        assert tables.movements == {("j", 0): ("d", 1, "dispense", -99), ("j", 1): ("d", 2, "partial", -20)}
        assert tables.flasks == {("d", 1): (901, 50), ("d", 2): (980, 0)}


def test_a_row_that_differs_is_named() -> None:
    expected = final_tables(ORDERS, [], STOCK_MG)
    assert expected.differences(expected) == []
    assert (
        "flasks ('d', 1)"
        in expected.differences(Tables(expected.jobs, expected.items, {}, {("d", 2): (1_000, 200)}))[0]
    )
