"""A stop: the flask first, then the report; and how long it takes at worst, as the status says."""

from firmware.core import stop
from firmware.core.ports import CloseFlask, Port, Save, Send, StopPressed
from tests.firmware.bench import Bench, flask


def orders_of(bench: Bench, count: int) -> list[Port]:
    return bench.orders[count:]


def test_the_worst_case_is_the_reaction_and_the_slowest_gate_and_the_strongest_flow() -> None:
    slow, strong = flask(1, flow=1000, settle_ms=400), flask(2, flow=30_001, settle_ms=200)
    assert stop.worst((slow, strong)) == (stop.REACTION_MS + 400, 9_001)
    assert stop.worst((flask(1, flow=0),)) == (stop.REACTION_MS + 200, 0)
    assert stop.worst(()) == (None, None)


def test_the_status_says_it_as_soon_as_the_flasks_are_known(bench: Bench) -> None:
    first = next(one.record for one in bench.sent("status"))
    assert (first.values()["stop_ms"], first.values()["stop_mg"]) == (None, None)
    assert (bench.status().stop_ms, bench.status().stop_mg) == (stop.REACTION_MS + 200, 300)
    bench.configure(flask(1, flow=50_000), version=2)
    bench.run(lambda: bench.status().config_version == 2)
    assert bench.status().stop_mg == 15_000


def test_the_button_closes_the_flask_before_anything_is_saved_or_said(bench: Bench) -> None:
    bench.offer(1, (1, 5000), (2, 100))
    bench.run(lambda: len(bench.openings) == 1)
    bench.run(limit_ms=300)
    count = len(bench.orders)
    bench.post(StopPressed())
    bench.run(lambda: bench.completion(1) is not None)
    first, *rest = [one for one in orders_of(bench, count) if isinstance(one, (CloseFlask, Save, Send))]
    assert first == CloseFlask(1)
    assert isinstance(rest[0], Save)
    done = bench.completion(1)
    assert done is not None
    assert [(one.state, one.error) for one in done.items] == [("failed", "cancelled"), ("skipped", "cancelled")]
    assert done.items[0].dispensed_mg == bench.openings[0].open_ms


def test_a_cancellation_closes_the_flask_before_it_is_acknowledged(bench: Bench) -> None:
    bench.offer(1, (1, 5000))
    bench.run(lambda: len(bench.openings) == 1)
    bench.run(limit_ms=300)
    count = len(bench.orders)
    bench.cancel(1)
    bench.run(lambda: bench.completion(1) is not None)
    first = next(one for one in orders_of(bench, count) if isinstance(one, (CloseFlask, Save, Send)))
    assert first == CloseFlask(1)


def test_a_stop_needs_no_network(bench: Bench) -> None:
    bench.offer(1, (1, 5000))
    bench.run(lambda: len(bench.openings) == 1)
    bench.network = False
    bench.drop_link()
    pressed_ms = bench.now_ms + 300
    bench.post(StopPressed(), 300)
    bench.run(limit_ms=1000)
    assert bench.openings[0].at_ms + bench.openings[0].open_ms == pressed_ms


def test_the_limit_is_part_of_every_opening(bench: Bench) -> None:
    bench.configure(flask(1, max_open_ms=700), version=2)
    bench.run(lambda: bench.status().config_version == 2)
    bench.offer(1, (1, 700))
    bench.run(lambda: bench.completion(1) is not None)
    (opened,) = [one for one in bench.orders if type(one).__name__ == "OpenFlask"]
    assert (getattr(opened, "open_ms", 0), getattr(opened, "limit_ms", 0)) == (700, 700)
