"""A user who orders for a fleet: every job once, watched to its end, and judged by what left the flasks."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence

import pytest

from pitada.cli.expected import expected
from pitada.fleet import orders as module
from pitada.fleet.api import ApiRefused, Item
from pitada.fleet.orders import Orders, OrdersStuck, allowed
from services.ledger.views import ItemView, JobView
from simulators.fleet import Fleet
from simulators.truth import Opening
from tests.pitada.fleet.conftest import FLOW_MG_PER_S, MemoryApi, specs


@pytest.fixture(autouse=True)
def look_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LOOK_S", 0.01)
    monkeypatch.setattr(module, "_TRY_AGAIN_S", 0.01)


@pytest.fixture
async def fleet() -> AsyncIterator[Fleet]:
    """Switched on, with no broker to be found."""
    async with Fleet(specs(3), "127.0.0.1", 1) as fleet:
        yield fleet


def orders_of(api: MemoryApi, fleet: Fleet, jobs: int | None, per_s: float | None = None) -> Orders:
    return Orders(api, fleet, jobs=jobs, per_s=per_s, seed=1)  # type: ignore[arg-type]  # the same methods, in memory


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0.005)


def pour(fleet: Fleet, api: MemoryApi, job: str, mg: int) -> None:
    """So much leaves the flask of each item."""
    for item in api.made[job].items:
        fleet.truth.record(Opening(api.made[job].device, item.flask, 1, job, item.item, 0, 100, mg, "closed"))


async def test_every_job_is_placed_once_spread_over_the_fleet_and_watched_to_its_end(fleet: Fleet) -> None:
    api = MemoryApi()
    ordering = orders_of(api, fleet, jobs=6)
    running = asyncio.create_task(ordering.run())
    await until(lambda: ordering.placed == 6)
    assert sorted(job.device for job in api.made.values()) == ["sim-1", "sim-1", "sim-2", "sim-2", "sim-3", "sim-3"]
    assert not running.done()
    for number, job in enumerate(list(api.made)):
        pour(fleet, api, job, 500)
        api.end(job, "done", 500, after_ms=100 * number)
    await running
    assert (ordering.ended, ordering.refused, ordering.divergences) == (6, 0, [])
    assert sorted(ordering.settled_ms) == [0, 100, 200, 300, 400, 500]


async def test_an_answer_that_was_lost_is_asked_for_again_under_the_same_key(fleet: Fleet) -> None:
    api = MemoryApi()
    api.lost_answers = 3
    ordering = orders_of(api, fleet, jobs=4)
    running = asyncio.create_task(ordering.run())
    await until(lambda: ordering.placed == 4)
    assert len(api.made) == 4
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_the_same_seed_orders_the_same(fleet: Fleet) -> None:
    wanted = []
    for _ in range(2):
        api = MemoryApi()
        ordering = orders_of(api, fleet, jobs=5)
        running = asyncio.create_task(ordering.run())
        await until(lambda ordering=ordering: ordering.placed == 5)  # type: ignore[misc]  # bound now
        wanted.append(
            sorted((job.device, *[(one.flask, one.target_mg) for one in job.items]) for job in api.made.values())
        )
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert wanted[0] == wanted[1]


async def test_a_ledger_that_says_less_than_left_the_flask_diverges(fleet: Fleet) -> None:
    api = MemoryApi()
    ordering = orders_of(api, fleet, jobs=1)
    running = asyncio.create_task(ordering.run())
    await until(lambda: ordering.placed == 1)
    pour(fleet, api, "job-00000", 501)
    api.end("job-00000", "done", 500)
    await running
    assert len(ordering.divergences) == len(api.made["job-00000"].items)
    assert "501 mg left flask" in ordering.divergences[0]


class Refusing(MemoryApi):
    """Says no to everything."""

    def __init__(self, status: int) -> None:
        super().__init__()
        self.status = status

    def place(self, device: str, items: Sequence[Item], key: str) -> JobView:
        raise ApiRefused(self.status, "why", "flask 1 holds too little")


async def test_an_order_for_which_there_is_too_little_is_counted_and_the_others_go_on(fleet: Fleet) -> None:
    ordering = orders_of(Refusing(409), fleet, jobs=5, per_s=1000)
    await ordering.run()
    assert (ordering.placed, ordering.refused) == (0, 5)


async def test_an_order_that_can_never_be_ends_the_run(fleet: Fleet) -> None:
    with pytest.raises(ExceptionGroup) as raised:
        await orders_of(Refusing(422), fleet, jobs=5, per_s=1000).run()
    assert isinstance(expected(raised.value), ApiRefused)


class Slow(MemoryApi):
    """Answers when it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.may_answer = threading.Event()

    def place(self, device: str, items: Sequence[Item], key: str) -> JobView:
        self.may_answer.wait(10)
        return super().place(device, items, key)


async def test_a_dashboard_whose_answer_takes_too_long_ends_the_run(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_AWAY_S", 0.05)
    api = Slow()
    with pytest.raises(ExceptionGroup) as raised:
        await orders_of(api, fleet, jobs=1).run()
    api.may_answer.set()
    assert str(expected(raised.value)) == "The dashboard has not answered. It was tried for 0 s."


async def test_a_job_below_the_pages_is_asked_for_by_its_id(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PAGE", 1)
    monkeypatch.setattr(module, "_PAGES", 2)
    api = MemoryApi()
    ordering = orders_of(api, fleet, jobs=4)
    running = asyncio.create_task(ordering.run())
    await until(lambda: ordering.placed == 4)
    for job in list(api.made):
        api.end(job, "failed", None)
    await running
    assert set(api.asked_one_by_one) <= {"job-00000", "job-00001"}
    assert ordering.ended == 4


async def test_jobs_that_never_end_are_given_up_with_their_number(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_START_S", 0.05)
    monkeypatch.setattr(module, "_EACH_S", 0.0)
    with pytest.raises(ExceptionGroup) as raised:
        await orders_of(MemoryApi(), fleet, jobs=2).run()
    [stuck] = raised.value.exceptions
    assert isinstance(stuck, OrdersStuck)
    assert str(stuck) == "2 of 2 jobs have not ended in time."


@pytest.mark.parametrize(
    ("state", "dispensed_mg", "left_mg", "is_allowed"),
    [
        ("done", 500, 500, True),
        ("done", 500, 499, False),
        ("failed", None, 0, True),
        ("failed", 120, 120, True),
        ("skipped", 0, 1, False),
        ("in_doubt", None, 0, True),
        ("in_doubt", None, 860, True),
        ("in_doubt", None, 861, False),
    ],
)
def test_what_left_the_flask_is_what_the_ledger_says(
    state: str, dispensed_mg: int | None, left_mg: int, is_allowed: bool
) -> None:
    item = ItemView(
        item=0, flask=1, ingredient="Salt", target_mg=800, state=state, dispensed_mg=dispensed_mg, duration_ms=None,
        error=None, resolution=None, resolved_mg=None,
    )  # fmt: skip
    assert allowed(item, left_mg, FLOW_MG_PER_S) is is_allowed
