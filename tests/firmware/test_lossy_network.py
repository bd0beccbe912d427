"""A network that loses, cuts and repeats: the server learns everything, once the network is back for a while."""

from collections import Counter
from itertools import pairwise

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from firmware.core.ports import Connect, Disconnect, FlaskFailed, StopPressed
from protocol.messages import ItemProgressed, StatusReported
from protocol.states import item_rank
from tests.firmware.bench import Bench, online_bench

RELAXED = settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
TROUBLE = st.lists(
    st.tuples(
        st.sampled_from(
            ["drop", "outage", "deaf", "half_open", "offer", "receipt", "stop", "cancel", "power", "flash_full", "jam"]
        ),
        st.integers(0, 2500),
    ),
    max_size=8,
)


def all_well(bench: Bench) -> None:
    bench.network = True
    bench.broker.acknowledges = True
    bench.broker.is_deaf = False
    bench.save_ok = lambda _slot: True
    bench.fail_flask = lambda _number: None


def trouble(bench: Bench, kind: str) -> None:
    """One mishap, of every kind that the field has."""
    all_well(bench)
    if kind == "drop":
        bench.drop_link()
    elif kind == "outage":
        bench.network = False
        bench.drop_link()
    elif kind == "deaf":
        bench.broker.acknowledges = False
    elif kind == "offer":
        bench.offer(1, (1, 500), (2, 700), (1, 200))
    elif kind == "receipt":
        bench.receipt(1)
    elif kind == "half_open":
        bench.broker.is_deaf = True
    elif kind == "flash_full":
        bench.save_ok = lambda _slot: False
    elif kind == "jam":
        bench.fail_flask = lambda number: FlaskFailed(number, "jammed", 0)
    elif kind == "stop":
        bench.post(StopPressed())
    elif kind == "cancel":
        bench.cancel(1)
    elif kind == "power":
        bench.cut_power()
        bench.boot()


def progress_never_goes_back(bench: Bench) -> None:
    """Within one boot: of one item, no older state after a newer one."""
    highest: dict[tuple[int, int, int], int] = {}
    for one in bench.sent("progress"):
        record = one.record
        assert isinstance(record, ItemProgressed)
        key = (record.boot, record.seq, record.item)
        rank = item_rank(record.state)
        assert rank >= highest.get(key, 0), f"{record} after rank {highest[key]}"
        highest[key] = rank


@RELAXED
@given(TROUBLE, st.integers(0, 1000))
def test_a_job_ends_and_its_report_fits_what_left_the_flasks(troubles: list[tuple[str, int]], seed: int) -> None:
    bench = online_bench(seed)
    bench.offer(1, (1, 500), (2, 700), (1, 200))
    for kind, pause_ms in troubles:
        bench.run(limit_ms=pause_ms)
        trouble(bench, kind)
    all_well(bench)
    bench.run(limit_ms=60_000)
    bench.run(lambda: bench.broker.listening)
    if bench.completion(1) is None:
        bench.offer(1, (1, 500), (2, 700), (1, 200))
    bench.run(lambda: bench.completion(1) is not None and bench.status().receipted_seq == 1)
    done = bench.completion(1)
    assert done is not None
    flowed: Counter[int] = Counter()
    for opening in bench.openings:
        flowed[opening.flask] += opening.open_ms
    low: Counter[int] = Counter()
    high: Counter[int] = Counter()
    for report in done.items:
        low[report.flask] += report.dispensed_mg or 0
        high[report.flask] += report.target_mg if report.state == "in_doubt" else report.dispensed_mg or 0
    for number in (1, 2):
        assert low[number] <= flowed[number] <= high[number], (done, bench.openings)
    assert len({repr(one) for one in bench.completions() if one.seq == 1}) == 1
    progress_never_goes_back(bench)


@RELAXED
@given(st.lists(st.integers(0, 400), min_size=1, max_size=6), st.integers(0, 1000))
def test_connects_are_at_least_a_second_apart(pauses: list[int], seed: int) -> None:
    bench = online_bench(seed)
    times: list[int] = [bench.now_ms]
    bench.before_order = lambda order: times.append(bench.now_ms) if isinstance(order, Connect) else None
    del times[:]
    for pause_ms in pauses:
        bench.run(limit_ms=pause_ms)
        bench.drop_link()
        bench.run(lambda: bench.broker.listening)
    assert len(times) >= 1
    assert all(later - earlier >= 1000 for earlier, later in pairwise(times))


def test_after_a_reconnect_the_status_goes_first_and_the_report_last() -> None:
    bench = online_bench()
    bench.receipts = False
    bench.offer(1, (1, 500), (2, 700))
    bench.run(lambda: len(bench.openings) == 1)
    bench.network = False
    bench.drop_link()
    bench.run(limit_ms=10_000)
    before = len(bench.broker.sent)
    bench.network = True
    bench.run(lambda: bench.completion(1) is not None)
    channels = [one.channel for one in bench.broker.sent[before:] if one.channel != "telemetry"]
    assert channels[0] == "status"
    assert channels == sorted(channels, key=["status", "accept", "progress", "completion"].index)


def test_a_broker_that_goes_silent_is_noticed_within_one_and_a_half_keepalives() -> None:
    bench = online_bench()
    bench.run(limit_ms=1000)
    since_ms = bench.now_ms
    bench.broker.is_deaf = True
    bench.run(lambda: isinstance(bench.orders[-2], Disconnect))
    assert bench.now_ms - since_ms <= 45_000


def test_a_broker_that_does_not_acknowledge_is_left() -> None:
    bench = online_bench()
    bench.broker.acknowledges = False
    bench.offer(1, (1, 500))
    bench.run(lambda: any(isinstance(one, Disconnect) for one in bench.orders))
    bench.broker.acknowledges = True
    bench.run(lambda: bench.completion(1) is not None)
    assert len(bench.openings) == 1


def test_an_idle_connection_is_kept_alive() -> None:
    bench = online_bench()
    bench.run(limit_ms=300_000)
    assert bench.broker.pings >= 9
    assert bench.broker.connects == 1
    statuses = [one.record for one in bench.sent("status") if isinstance(one.record, StatusReported)]
    assert all(one.online for one in statuses)
