"""Power goes at the worst moments: no flask opens twice for one item, nothing is forgotten, every boot ends the job."""

from collections import Counter

import pytest

from firmware.core.ports import Connect, OpenFlask, Port, Save, Say, StopPressed
from firmware.core.slots import STATES, read_state
from protocol.messages import ItemProgressed, JobCompleted
from tests.firmware.bench import Bench, PowerCut, flask, online_bench
from tests.power_cuts.shapes import Ending, Figures

ITEMS = ((1, 500), (2, 700), (3, 900))


class Cuts:
    """Cuts power before or after the n-th order from now on, for each n given; counts go on over boots."""

    def __init__(self, bench: Bench, plan: list[tuple[int, str]], damage: str = "") -> None:
        self.bench = bench
        self.plan = list(plan)
        self.damage = damage
        self.count = 0
        self.cuts = 0
        bench.before_order = self._before
        bench.after_order = self._after

    def _before(self, order: Port) -> None:
        if self.plan and self.plan[0] == (self.count, "before"):
            self._cut(order)

    def _after(self, order: Port) -> None:
        if self.plan and self.plan[0] == (self.count, "after"):
            self._cut(order)
        self.count += 1

    def _cut(self, order: Port) -> None:
        self.plan.pop(0)
        self.count += 1
        self.cuts += 1
        if isinstance(order, Save) and self.damage:
            self.bench.flash[order.slot] = b"\x00garbage" if self.damage == "garbage" else order.data[:-1] + b"\x01"
        raise PowerCut


def orders_of_a_job() -> int:
    """How many orders a job takes from its offer to the receipt."""
    bench = online_bench()
    before = len(bench.orders)
    bench.offer(1, *ITEMS)
    bench.run(lambda: bench.status().receipted_seq == 1)
    return len(bench.orders) - before


ORDERS = orders_of_a_job()


def run_with_cuts(plan: list[tuple[int, str]], damage: str = "") -> tuple[Bench, JobCompleted]:
    """One job from offer to receipt through the power cuts; offered again while the dispenser does not have it."""
    bench = online_bench()
    cuts = Cuts(bench, plan, damage)
    bench.offer(1, *ITEMS)
    for _boot in range(12):
        bench.run(lambda: bench.completion(1) is not None and bench.status().receipted_seq == 1, limit_ms=60_000)
        if bench.has_power():
            break
        bench.boot()
        bench.run(lambda: bench.broker.listening)
        # The server offers again until it has an answer.
        if not any(one.channel == "accept" for one in bench.broker.sent):
            bench.offer(1, *ITEMS)
    else:
        raise AssertionError("the job did not end in twelve boots")
    assert cuts.cuts == len(plan) - len(cuts.plan)
    done = bench.completion(1)
    assert done is not None
    return bench, done


def test_the_cuts_of_this_file_happen_and_some_leave_an_item_in_doubt() -> None:
    in_doubt = 0
    for at in range(ORDERS):
        bench, done = run_with_cuts([(at, "after")])
        assert len(bench.ordered(Connect)) > 1, f"no second boot after a cut at order {at}"
        in_doubt += [one.state for one in done.items].count("in_doubt")
    assert in_doubt >= 2 * len(ITEMS)


def judge(bench: Bench) -> None:
    """The report must fit what left the flasks; the judge is that of `make power-cuts`."""
    figures = Figures()
    figures.take(ITEMS, Ending([(one.flask, one.open_ms) for one in bench.openings], bench.completions()))
    assert figures.held, (figures, bench.openings, bench.completions())


def rot_newest(bench: Bench) -> None:
    """The newest generation of the state cannot be read any more."""
    newest = max(STATES, key=lambda slot: getattr(read_state(bench.flash[slot]), "generation", 0))
    bench.flash[newest] = b"rot"


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("at", range(ORDERS))
def test_a_cut_at_any_order_leaves_at_most_one_item_in_doubt(at: int, when: str) -> None:
    bench, done = run_with_cuts([(at, when)])
    judge(bench)
    assert [one.state for one in done.items].count("in_doubt") <= 1


@pytest.mark.parametrize("damage", ["garbage", "flipped"])
@pytest.mark.parametrize("at", range(ORDERS))
def test_a_cut_that_damages_the_slot_being_written_never_opens_twice(at: int, damage: str) -> None:
    bench, _done = run_with_cuts([(at, "after")], damage)
    judge(bench)


@pytest.mark.parametrize("first", range(0, ORDERS, 2))
def test_two_cuts_in_one_job_leave_at_most_two_items_in_doubt(first: int) -> None:
    for second in range(first + 1, ORDERS + 8, 3):
        for when in ("before", "after"):
            bench, done = run_with_cuts([(first, when), (second, when)])
            judge(bench)
            assert [one.state for one in done.items].count("in_doubt") <= 2


@pytest.mark.parametrize("lost", ["state.a", "state.b"])
def test_a_generation_that_rots_after_any_save_never_opens_twice(lost: str) -> None:
    for at in range(ORDERS):
        bench = online_bench()
        Cuts(bench, [(at, "after")])
        bench.offer(1, *ITEMS)
        bench.run(lambda b=bench: not b.has_power() or b.status().receipted_seq == 1)  # type: ignore[misc]  # binds now
        bench.flash[lost] = bench.flash.get(lost, b"")[:-2]
        bench.boot()
        bench.run(limit_ms=20_000)
        opened = Counter(one.flask for one in bench.openings)
        assert max(opened.values(), default=0) <= 1, (at, bench.openings)


@pytest.mark.parametrize("by", ["button", "server"])
@pytest.mark.parametrize("lost", ["state.a", "state.b"])
def test_a_stop_that_was_told_holds_though_power_goes_and_any_generation_rots(lost: str, by: str) -> None:
    told = 0
    for at in range(ORDERS):
        bench = online_bench()
        bench.offer(1, *ITEMS)
        bench.run(lambda b=bench: len(b.openings) == 1)  # type: ignore[misc]  # binds now
        if by == "button":
            bench.post(StopPressed(), 100)
        else:
            bench.cancel(1)
        Cuts(bench, [(at, "after")])
        bench.run(limit_ms=5_000)
        bench.cut_power()
        words = [one.record for one in bench.sent("progress")]
        skipped = {ITEMS[one.item][0] for one in words if isinstance(one, ItemProgressed) and one.state == "skipped"}
        told += bool(skipped)
        bench.flash[lost] = bench.flash.get(lost, b"")[:-2]
        bench.boot()
        bench.run(limit_ms=20_000)
        assert not skipped & {one.flask for one in bench.openings}, (at, bench.openings)
    assert told > ORDERS // 4


def test_a_job_lost_with_its_generation_right_after_it_was_accepted_is_taken_again_and_runs_once() -> None:
    bench = online_bench()
    before = dict(bench.flash)
    saves: list[str] = []
    bench.before_order = lambda order: saves.append(order.slot) if isinstance(order, Save) else None
    bench.offer(1, *ITEMS)
    bench.run(lambda: bool(bench.sent("accept")))
    assert bench.openings == []
    bench.cut_power()
    # The save of "dispensing" was under way, and never became the newest; the one with the job has rotted.
    bench.flash = before
    bench.flash[saves[0]] = b"rotten"
    bench.boot()
    bench.online()
    assert (bench.status().job, bench.status().last_seq) == (None, 0)
    bench.offer(1, *ITEMS)
    bench.run(lambda: bench.status().receipted_seq == 1)
    assert [(one.flask, one.open_ms) for one in bench.openings] == list(ITEMS)


def test_a_cancellation_that_was_told_is_repeated_until_its_receipt_though_the_newest_generation_rots() -> None:
    bench = online_bench()
    bench.receipts = False
    bench.cancel(1)
    bench.run(lambda: bench.completion(1) is not None and bench.status().last_seq == 1)
    bench.cut_power()
    rot_newest(bench)
    bench.receipts = True
    bench.boot()
    bench.run(lambda: bench.status().receipted_seq == 1)
    assert bench.status().last_seq == 1
    assert len({repr(one) for one in bench.completions()}) == 1


def test_an_interrupted_flask_is_in_doubt_and_the_rest_goes_on_without_a_network() -> None:
    bench = online_bench()
    bench.offer(1, *ITEMS)
    bench.run(lambda: len(bench.openings) == 2)
    bench.run(limit_ms=100)
    bench.cut_power()
    bench.network = False
    bench.boot("brownout")
    bench.run(limit_ms=20_000)
    assert [one.flask for one in bench.openings] == [1, 2, 3]
    bench.network = True
    bench.run(lambda: bench.status().receipted_seq == 1)
    done = bench.completion(1)
    assert done is not None
    assert done.state == "done_partial"
    assert [(one.state, one.dispensed_mg, one.error) for one in done.items] == [
        ("done", 500, None),
        ("in_doubt", None, "interrupted"),
        ("done", 900, None),
    ]
    assert bench.status().reset_cause == "brownout"


def test_progress_that_power_cut_short_is_told_after_the_boot() -> None:
    bench = online_bench()
    bench.receipts = False
    bench.offer(1, (1, 500))
    bench.run(lambda: "done.0" in bench.flash)
    bench.run(limit_ms=200)
    bench.cut_power()
    for topic in [one for one in bench.broker.retained if one.endswith("progress")]:
        bench.broker.retained[topic] = b""
    bench.boot()
    bench.run(lambda: all(bench.broker.retained.values()))
    assert b'"state":"done"' in bench.broker.retained["pitada/v1/bench-1/flask/1/progress"]


def test_a_wiped_flash_is_a_new_epoch() -> None:
    bench = online_bench()
    before = bench.epoch
    bench.cut_power()
    bench.flash.clear()
    bench.boot()
    bench.online()
    assert bench.epoch != before
    assert bench.status().boot == 1


def test_each_boot_has_its_own_number_even_when_one_generation_is_lost() -> None:
    bench = Bench()
    bench.configure(flask(1))
    seen = []
    for boot in range(6):
        bench.boot()
        bench.online()
        seen.append(bench.status().boot)
        bench.cut_power()
        if boot == 3:
            rot_newest(bench)
    assert seen == sorted(set(seen))


def test_a_corrupted_completion_does_not_stop_the_boot() -> None:
    bench = online_bench()
    bench.receipts = False
    bench.offer(1, (1, 500))
    bench.run(lambda: bench.completion(1) is not None)
    bench.cut_power()
    bench.flash["done.0"] = bench.flash["done.0"][:40]
    bench.flash["config"] = b"\xff" * 30
    bench.boot()
    bench.online()
    said = [one for one in bench.ordered(Say) if isinstance(one, Say) and one.level == "error"]
    assert [name for name in ("done.0", "configuration") if any(name in one.text for one in said)] == [
        "done.0",
        "configuration",
    ]
    bench.offer(2, (1, 300))
    bench.run(lambda: bench.completion(2) is not None)


def test_a_flask_opens_only_after_flash_says_dispensing() -> None:
    bench = online_bench()
    bench.offer(1, *ITEMS)
    bench.run(lambda: bench.status().receipted_seq == 1)
    for position, order in enumerate(bench.orders):
        if isinstance(order, OpenFlask):
            saves = [one for one in bench.orders[:position] if isinstance(one, Save)]
            state = read_state(saves[-1].data)
            assert state is not None
            assert [item.flask for item in state.items if item.state == "dispensing"] == [order.flask]
