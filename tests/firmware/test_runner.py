"""Jobs on the bench: amounts, failures, stops, and a flash that does not obey."""

import pytest

from firmware.core.ports import CloseFlask, FlaskClosed, FlaskFailed, OpenFlask, Save, StopPressed
from firmware.core.slots import read_state
from protocol.messages import JobCompleted
from protocol.states import DEVICE, ITEM_TRANSITIONS
from tests.firmware.bench import Bench, flask


def run_job(bench: Bench, *items: tuple[int, int], seq: int = 1) -> JobCompleted:
    bench.offer(seq, *items)
    return ended(bench, seq)


def ended(bench: Bench, seq: int = 1) -> JobCompleted:
    bench.run(lambda: bench.completion(seq) is not None)
    done = bench.completion(seq)
    assert done is not None
    return done


def results(done: JobCompleted) -> list[tuple[str, int | None, str | None]]:
    return [(one.state, one.dispensed_mg, one.error) for one in done.items]


def reconfigured(bench: Bench, *flasks: object) -> Bench:
    bench.configure(*flasks, version=2)  # type: ignore[arg-type]  # flask() makes them
    bench.run(lambda: bench.status().config_version == 2)
    return bench


def test_a_flask_opens_as_long_as_its_flow_needs_with_its_own_limits_and_pulses(bench: Bench) -> None:
    reconfigured(bench, flask(2, flow=300, max_open_ms=9000))
    run_job(bench, (2, 1000))
    assert bench.ordered(OpenFlask) == [OpenFlask(2, 3333, 9000, 1, 1000, 2000)]


def test_items_that_cannot_open_fail_with_their_reason_and_the_others_go_on(bench: Bench) -> None:
    reconfigured(bench, flask(1), flask(2, flow=0), flask(3, max_open_ms=100))
    done = run_job(bench, (7, 50), (2, 50), (3, 101), (1, 50))
    assert done.state == "done_partial"
    assert results(done) == [
        ("failed", 0, "unknown_flask"),
        ("failed", 0, "not_calibrated"),
        ("failed", 0, "over_limit"),
        ("done", 50, None),
    ]
    assert [one.flask for one in bench.openings] == [1]


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (FlaskFailed(1, "jammed", 0), ("failed", 0, "jammed")),
        (FlaskFailed(1, "servo_fault", 120), ("failed", 120, "servo_fault")),
        (FlaskFailed(1, "jammed", 2000, 31), ("failed", 31, "jammed")),
        (FlaskFailed(1, "jammed", None), ("in_doubt", None, "jammed")),
        (FlaskFailed(1, "no such word", 0), ("failed", 0, "servo_fault")),
    ],
)
def test_a_flask_that_fails_says_what_is_known(
    bench: Bench, failure: FlaskFailed, expected: tuple[str, int | None, str | None]
) -> None:
    bench.fail_flask = lambda number: failure if number == 1 else None
    done = run_job(bench, (1, 500), (2, 300))
    assert results(done) == [expected, ("done", 300, None)]


def test_a_servo_fault_is_shown_while_the_job_is_in_hand(bench: Bench) -> None:
    bench.fail_flask = lambda number: FlaskFailed(1, "servo_fault", 0) if number == 1 else None
    bench.offer(1, (1, 500), (2, 5000))
    bench.run(lambda: bench.status().fault == "servo_fault")
    ended(bench)
    bench.run(lambda: bench.status().fault is None)


def test_the_load_cell_has_the_last_word(bench: Bench) -> None:
    bench.offer(1, (1, 500))
    bench.run(lambda: len(bench.openings) == 1)
    bench.post(FlaskClosed(1, 500, 487))
    assert results(ended(bench)) == [("done", 487, None)]


def test_the_settling_time_lies_between_two_flasks(bench: Bench) -> None:
    reconfigured(bench, flask(1, settle_ms=3000), flask(2))
    run_job(bench, (1, 500), (2, 500))
    first, second = bench.openings
    assert second.at_ms - (first.at_ms + first.open_ms) >= 3000


def test_an_answer_for_another_flask_is_not_taken(bench: Bench) -> None:
    bench.offer(1, (1, 5000))
    bench.run(lambda: len(bench.openings) == 1)
    assert bench.dispenser is not None
    bench.dispenser.step(bench.now_ms, FlaskClosed(2, 9))
    bench.dispenser.step(bench.now_ms, FlaskFailed(3, "jammed", 0))
    assert results(ended(bench)) == [("done", 5000, None)]


def test_a_stop_closes_the_open_flask_and_skips_the_rest(bench: Bench) -> None:
    bench.offer(1, (1, 300), (2, 5000), (3, 500))
    bench.run(lambda: len(bench.openings) == 2)
    bench.run(limit_ms=1000)
    bench.post(StopPressed())
    bench.post(StopPressed())
    done = ended(bench)
    assert bench.ordered(CloseFlask) == [CloseFlask(2)]
    assert done.state == "done_partial"
    assert results(done) == [("done", 300, None), ("failed", 1000, "cancelled"), ("skipped", 0, "cancelled")]


def test_a_stop_that_comes_as_the_flask_closes_leaves_it_done(bench: Bench) -> None:
    bench.offer(1, (1, 300), (2, 500))
    bench.run(lambda: len(bench.openings) == 1)
    bench.run(limit_ms=300 - 1)
    bench.post(StopPressed(), 1)
    done = ended(bench)
    assert results(done)[0] == ("done", 300, None)
    assert results(done)[1] == ("skipped", 0, "cancelled")


def test_a_stop_before_the_flask_opens_keeps_it_closed(bench: Bench) -> None:
    bench.before_order = lambda order: (
        bench.post(StopPressed()) if isinstance(order, Save) and b"dispensing" in order.data else None
    )
    done = run_job(bench, (1, 300), (2, 500))
    assert bench.openings == []
    assert done.state == "cancelled"
    assert results(done) == [("failed", 0, "cancelled"), ("skipped", 0, "cancelled")]


def test_a_stop_without_a_job_does_nothing(bench: Bench) -> None:
    bench.post(StopPressed())
    bench.run(limit_ms=1000)
    assert results(run_job(bench, (1, 300))) == [("done", 300, None)]


def test_a_save_that_fails_before_opening_keeps_the_flask_closed(bench: Bench) -> None:
    failing = [False]

    def watch(order: object) -> None:
        failing[0] = isinstance(order, Save) and b'"dispensing"' in order.data and b'"flask":1' in order.data

    bench.before_order = watch
    bench.save_ok = lambda _slot: not failing[0]
    bench.offer(1, (1, 300), (2, 500))
    bench.run(lambda: bench.status().fault == "flash_full")

    def mended(_order: object) -> None:
        failing[0] = False

    bench.before_order = mended
    done = ended(bench)
    assert [one.flask for one in bench.openings] == [2]
    assert results(done) == [("failed", 0, "flash_full"), ("done", 500, None)]
    bench.run(lambda: bench.status().fault is None)


def test_a_save_that_fails_after_closing_keeps_the_next_flask_closed_until_flash_works(bench: Bench) -> None:
    bench.offer(1, (1, 300), (2, 500))
    bench.run(lambda: len(bench.openings) == 1)
    bench.save_ok = lambda _slot: False
    bench.run(limit_ms=60_000)
    assert len(bench.openings) == 1
    assert bench.status().fault == "flash_full"
    assert 10 <= len(bench.ordered(Save)) <= 25, "tried again, but not in a hurry"
    bench.save_ok = lambda _slot: True
    assert results(ended(bench)) == [("done", 300, None), ("done", 500, None)]


def test_an_item_costs_two_flash_writes_and_a_job_four_more(bench: Bench) -> None:
    before = len(bench.ordered(Save))
    run_job(bench, (1, 300), (2, 500), (3, 200))
    bench.run(lambda: bench.status().receipted_seq == 1)
    assert len(bench.ordered(Save)) - before == 2 * 3 + 4


def test_flash_sees_every_move_of_the_transition_table_and_no_other(bench: Bench) -> None:
    bench.fail_flask = lambda number: FlaskFailed(3, "jammed", 0) if number == 3 else None
    run_job(bench, (9, 5), (3, 5), (1, 5))
    bench.offer(2, (1, 5000), (2, 5))
    bench.run(lambda: len(bench.openings) == 2)
    bench.post(StopPressed(), 100)
    ended(bench, 2)
    bench.run(lambda: bench.status().receipted_seq == 2)
    bench.offer(3, (1, 5000))
    bench.run(lambda: len(bench.openings) == 3)
    bench.cut_power()
    bench.boot()
    ended(bench, 3)
    moves: set[tuple[str, str]] = set()
    before: dict[tuple[int, int], str] = {}
    for order in bench.ordered(Save):
        state = read_state(order.data) if isinstance(order, Save) and order.slot.startswith("state") else None
        for position, item in enumerate(state.items if state else ()):
            assert state is not None
            key = (state.seq, position)
            if before.get(key, "pending") != item.state:
                moves.add((before.get(key, "pending"), item.state))
            before[key] = item.state
    assert moves == {(start, end) for start, end, says, _when in ITEM_TRANSITIONS if says == DEVICE}


def test_a_timed_opening_needs_no_flow_and_claims_no_amount(bench: Bench) -> None:
    reconfigured(bench, flask(2, flow=0, max_open_ms=4000))
    bench.calibrate(1, 2, 60_000, 3000)
    (item,) = ended(bench).items
    assert (item.state, item.dispensed_mg, item.duration_ms, item.error) == ("in_doubt", None, 3000, None)
    bench.calibrate(2, 2, 60_000, 4001)
    assert results(ended(bench, 2)) == [("failed", 0, "over_limit")]
    assert [one.open_ms for one in bench.openings] == [3000]


def test_a_timed_opening_with_a_load_cell_says_what_came_out(bench: Bench) -> None:
    bench.calibrate(1, 1, 60_000, 500)
    bench.run(lambda: len(bench.openings) == 1)
    bench.run(limit_ms=100)
    bench.post(FlaskClosed(1, 500, 6_170), 399)
    (item,) = ended(bench).items
    assert (item.state, item.dispensed_mg, item.duration_ms) == ("done", 6_170, 500)


def test_a_timed_opening_that_is_stopped_or_jams_half_way_is_in_doubt_unless_it_was_weighed(bench: Bench) -> None:
    bench.calibrate(1, 1, 60_000, 3000)
    bench.run(lambda: len(bench.openings) == 1)
    bench.post(StopPressed(), 1000)
    (item,) = ended(bench).items
    assert (item.state, item.error, item.duration_ms) == ("in_doubt", "cancelled", bench.openings[0].open_ms)
    bench.fail_flask = lambda _flask: FlaskFailed(1, "jammed", 700)
    bench.calibrate(2, 1, 60_000, 3000)
    assert results(ended(bench, 2)) == [("in_doubt", None, "jammed")]
    bench.fail_flask = lambda _flask: FlaskFailed(1, "jammed", 0)
    bench.calibrate(3, 1, 60_000, 3000)
    assert results(ended(bench, 3)) == [("failed", 0, "jammed")]
    bench.fail_flask = lambda _flask: FlaskFailed(1, "jammed", 700, 480)
    bench.calibrate(4, 1, 60_000, 3000)
    assert results(ended(bench, 4)) == [("failed", 480, "jammed")]


def test_power_that_goes_while_a_flask_is_calibrated_leaves_it_in_doubt_and_it_is_not_opened_again(
    bench: Bench,
) -> None:
    bench.calibrate(1, 1, 60_000, 3000)
    bench.run(lambda: len(bench.openings) == 1)
    bench.run(limit_ms=100)
    bench.cut_power()
    bench.boot("brownout")
    assert results(ended(bench)) == [("in_doubt", None, "interrupted")]
    assert len(bench.openings) == 1
