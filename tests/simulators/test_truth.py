"""The witness and the judge."""

import pytest

from firmware.core import slots
from protocol import codec
from simulators.truth import (
    CLOSED,
    JAMMED,
    KEPT_OPENINGS,
    POWER_LOST,
    Divergence,
    DoubleDispense,
    FlaskLedger,
    Opening,
    Truth,
    compare,
    purpose_of,
)


def opening(
    mg: int, *, flask: int = 1, job: str | None = "job-1", item: int | None = 0, end: str = CLOSED, number: int = 1
) -> Opening:
    return Opening("disp-1", flask, number, job, item, 0, mg, mg, end)


def truth_of(*openings: Opening) -> Truth:
    truth = Truth()
    for each in openings:
        truth.record(each)
    return truth


def test_a_ledger_that_equals_the_truth_has_no_divergence() -> None:
    truth = truth_of(opening(500), opening(250, item=1), opening(70, flask=2, item=2))
    judged = compare(truth, [FlaskLedger("disp-1", 1, 750), FlaskLedger("disp-1", 2, 70)])
    assert judged == ((), (), ())


@pytest.mark.parametrize("ledger_mg", [749, 751])
def test_a_ledger_that_is_one_mg_off_diverges(ledger_mg: int) -> None:
    judged = compare(truth_of(opening(750)), [FlaskLedger("disp-1", 1, ledger_mg)])
    assert judged.divergences == (Divergence("disp-1", 1, 750, ledger_mg, ledger_mg),)
    assert str(judged.divergences[0]).startswith("disp-1 flask 1: 750 mg left it")


@pytest.mark.parametrize(("left_mg", "diverges"), [(499, True), (500, False), (800, False), (801, True)])
def test_an_item_in_doubt_allows_from_nothing_to_its_target(left_mg: int, diverges: bool) -> None:
    truth = truth_of(opening(500), opening(left_mg - 500, item=1, end=POWER_LOST))
    judged = compare(truth, [FlaskLedger("disp-1", 1, 500, (300,))])
    assert bool(judged.divergences) is diverges


def test_a_flask_that_the_ledger_does_not_know_must_have_lost_nothing() -> None:
    assert compare(truth_of(opening(5)), []).divergences == (Divergence("disp-1", 1, 5, 0, 0),)
    assert compare(truth_of(opening(0, end=JAMMED)), []).divergences == ()


def test_a_ledger_entry_for_a_flask_that_lost_nothing_diverges() -> None:
    assert compare(Truth(), [FlaskLedger("disp-1", 3, 40)]).divergences == (Divergence("disp-1", 3, 0, 40, 40),)


def test_plain_tuples_are_a_ledger_too() -> None:
    assert compare(truth_of(opening(5)), [FlaskLedger(*("disp-1", 1, 5, ()))]).divergences == ()


def test_an_item_opened_twice_is_a_double_dispense_even_when_little_came_out() -> None:
    truth = truth_of(opening(500, end=POWER_LOST), opening(0, number=2), opening(9, item=1, number=3))
    assert truth.double_dispenses() == (DoubleDispense("disp-1", "job-1", 0, 2),)


def test_a_gate_that_never_moved_was_not_opened() -> None:
    assert truth_of(opening(0, end=JAMMED), opening(500, number=2)).double_dispenses() == ()


def test_an_opening_that_flash_knew_nothing_of_is_shown() -> None:
    unknown = opening(10, job=None, item=None)
    assert compare(truth_of(unknown), [FlaskLedger("disp-1", 1, 10)]).unjournaled == (unknown,)


def test_old_openings_are_dropped_and_their_amounts_are_not() -> None:
    truth = Truth()
    for number in range(KEPT_OPENINGS + 10):
        truth.record(opening(1, number=number))
    assert len(truth.openings) == KEPT_OPENINGS
    assert truth.openings_total == truth.left_mg["disp-1", 1] == KEPT_OPENINGS + 10


def state(generation: int, item_state: str) -> bytes:
    item = slots.StoredItem(flask=3, target_mg=10, state=item_state, dispensed_mg=None, duration_ms=None, error=None)
    before = slots.StoredItem(flask=1, target_mg=10, state="done", dispensed_mg=10, duration_ms=5, error=None)
    stored = slots.StoredState(
        generation=generation,
        epoch="0" * 16,
        boot=1,
        last_seq=4,
        unreceipted=0,
        job="job-4",
        seq=4,
        items=(before, item),
    )
    return slots.seal(codec.encode(stored))


def test_the_purpose_of_an_opening_is_the_item_that_the_newest_state_says_is_dispensing() -> None:
    flash = {"state.a": state(8, "pending"), "state.b": state(9, "dispensing")}
    assert purpose_of(3, flash) == ("job-4", 1)
    assert purpose_of(1, flash) == (None, None)
    assert purpose_of(3, {"state.a": state(10, "pending"), "state.b": state(9, "dispensing")}) == (None, None)
    assert purpose_of(3, {}) == (None, None)


def test_a_dispenser_with_a_job_in_hand_is_not_judged() -> None:
    truth = truth_of(opening(750))
    assert compare(truth, [FlaskLedger("disp-1", 1, 0), FlaskLedger("disp-2", 1, 5)], but={"disp-1"}).divergences == (
        Divergence("disp-2", 1, 0, 5, 5),
    )


def test_openings_after_those_that_were_seen_come_in_order_as_far_as_they_are_kept() -> None:
    truth = truth_of(opening(1), opening(2), opening(3))
    assert [each.mg for each in truth.after(1)] == [2, 3]
    assert truth.after(3) == []
    truth.openings_total += KEPT_OPENINGS  # as after so many more, all but three forgotten
    assert [each.mg for each in truth.after(0)] == [1, 2, 3]
