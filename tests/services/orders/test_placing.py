"""An order is placed with its stock reserved: all of it or nothing, once for a key, and never more than there is."""

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from services.orders import (
    BadOrder,
    JobExists,
    KeyReused,
    NotEnoughStock,
    OrderedItem,
    OrderRefused,
    UnknownDispenser,
    UnknownFlask,
    place,
)


def test_a_placed_job_is_queued_with_its_items_in_order_and_its_stock_reserved(kitchen: Any) -> None:
    job = kitchen.place((2, 1500), (1, 200), (2, 500), expires_at_ms=kitchen.now_ms + 1)
    assert (job.state, job.device, job.placed_by, job.seq, job.retry_of) == ("queued", "mix-1", "ana", None, None)
    assert job.expires_at_ms == kitchen.now_ms + 1
    assert [(item.item, item.flask, item.ingredient, item.target_mg, item.state) for item in job.items] == [
        (0, 2, "sugar", 1500, "pending"),
        (1, 1, "flour", 200, "pending"),
        (2, 2, "sugar", 500, "pending"),
    ]
    assert [kitchen.flask(number)["reserved_mg"] for number in (1, 2, 3)] == [200, 2000, 0]
    assert kitchen.flips(job.job) == [(-1, None, "queued")]
    kitchen.audit()


def test_all_that_is_available_can_be_ordered_and_not_a_milligram_more(kitchen: Any) -> None:
    kitchen.place((1, 400_000), (1, 600_000))
    with pytest.raises(NotEnoughStock) as refused:
        kitchen.place((1, 1))
    assert refused.value.available_mg == 0


def test_an_order_that_does_not_fit_names_the_flask_and_reserves_nothing(kitchen: Any) -> None:
    kitchen.place((2, 999_000))
    with pytest.raises(NotEnoughStock) as refused:
        kitchen.place((1, 10), (2, 1000), (2, 500))
    error = refused.value
    assert (error.device, error.flask, error.ingredient) == ("mix-1", 2, "sugar")
    assert (error.wanted_mg, error.available_mg) == (1500, 1000)
    assert str(error) == (
        "Flask 2 (sugar) of mix-1 has 1 g available, the order wants 1.5 g. "
        "Refill or count the flask, order less, or cancel a job that is waiting for it."
    )
    assert kitchen.flask(1)["reserved_mg"] == 0
    kitchen.place((1, 10), (2, 1000))


def test_an_amount_that_no_dispenser_takes_is_refused(kitchen: Any) -> None:
    for target_mg in (0, -1, 10_000_001):
        with pytest.raises(BadOrder, match="target_mg"):
            kitchen.place((1, target_mg))


def test_a_job_has_1_to_16_items(kitchen: Any) -> None:
    for items in (0, 17):
        with pytest.raises(BadOrder, match=f"{items} items"):
            kitchen.place(*[(1, 1)] * items)
    kitchen.place(*[(1, 1)] * 16)


def test_an_unknown_dispenser_is_refused_by_name(kitchen: Any) -> None:
    with pytest.raises(UnknownDispenser, match="mix-9"):
        kitchen.place((1, 1), device="mix-9")


def test_an_unknown_flask_is_refused_with_those_that_there_are(kitchen: Any) -> None:
    with pytest.raises(UnknownFlask, match="no flask 4; it has 1, 2, 3"):
        kitchen.place((1, 1), (4, 1))
    assert kitchen.flask(1)["reserved_mg"] == 0


def test_an_id_that_a_dispenser_cannot_be_told_is_refused(kitchen: Any) -> None:
    with pytest.raises(BadOrder, match="job is"):
        kitchen.place((1, 1), job_id="not an id")


def test_an_id_that_is_taken_is_refused(kitchen: Any) -> None:
    job = kitchen.place((1, 1))
    with pytest.raises(JobExists, match=job.job):
        kitchen.place((1, 1), job_id=job.job)
    assert kitchen.flask(1)["reserved_mg"] == 1


def test_an_order_whose_time_is_up_is_refused(kitchen: Any) -> None:
    with pytest.raises(BadOrder, match="time is up"):
        kitchen.place((1, 1), expires_at_ms=kitchen.now_ms)


def test_the_same_request_with_the_same_key_gets_the_first_job_as_it_is_now(kitchen: Any) -> None:
    first = kitchen.place((1, 10), idempotency_key="k")
    kitchen.cancel(first.job)
    again = kitchen.place((1, 10), idempotency_key="k")
    assert (again.job, again.state) == (first.job, "cancelled")
    assert kitchen.flask(1)["reserved_mg"] == 0


def test_a_key_of_another_order_is_refused(kitchen: Any) -> None:
    first = kitchen.place((1, 10), idempotency_key="k")
    for other in ([(1, 11)], [(2, 10)], [(1, 10), (1, 10)]):
        with pytest.raises(KeyReused, match=first.job):
            kitchen.place(*other, idempotency_key="k")
    with pytest.raises(KeyReused):
        kitchen.place((1, 10), idempotency_key="k", expires_at_ms=kitchen.now_ms + 5)


def test_a_key_belongs_to_who_used_it(kitchen: Any) -> None:
    first = kitchen.place((1, 10), idempotency_key="k")
    assert kitchen.place((1, 10), idempotency_key="k", by="bia").job != first.job


def test_a_refused_order_leaves_its_key_free(kitchen: Any) -> None:
    with pytest.raises(NotEnoughStock):
        kitchen.place((1, 1_000_001), idempotency_key="k")
    assert kitchen.place((1, 5), idempotency_key="k").state == "queued"


def test_a_key_has_1_to_128_characters(kitchen: Any) -> None:
    for key in ("", "k" * 129):
        with pytest.raises(BadOrder, match="idempotency key"):
            kitchen.place((1, 1), idempotency_key=key)


def test_fifty_orders_at_once_never_promise_more_than_the_flask_holds(kitchen: Any) -> None:
    start = threading.Barrier(50)

    def order(number: int) -> bool:
        start.wait(timeout=30)
        # Both orders of flasks, so that two transactions would wait for each other if they locked them as given.
        flasks = (1, 2) if number % 2 else (2, 1)
        items = [OrderedItem(flask, 30_000) for flask in flasks]
        try:
            place(kitchen.database, device="mix-1", items=items, now_ms=1, job_id=f"at-once-{number}", by="ana")
        except NotEnoughStock:
            return False
        return True

    with ThreadPoolExecutor(50) as pool:
        placed = list(pool.map(order, range(50)))
    assert sum(placed) == 33
    assert kitchen.flask(1)["reserved_mg"] == kitchen.flask(2)["reserved_mg"] == 990_000
    kitchen.audit()


def test_one_key_at_once_from_many_makes_one_job(kitchen: Any) -> None:
    start = threading.Barrier(8)

    def order(number: int) -> str:
        start.wait(timeout=30)
        job: str = kitchen.place((1, 10), job_id=f"at-once-{number}", idempotency_key="k").job
        return job

    with ThreadPoolExecutor(8) as pool:
        placed = set(pool.map(order, range(8)))
    assert len(placed) == 1
    assert kitchen.flask(1)["reserved_mg"] == 10


def test_every_refusal_can_be_caught_as_one(kitchen: Any) -> None:
    for broken in itertools.chain([((1, 0),)], [((9, 1),)], [((1, 2_000_000),)]):
        with pytest.raises(OrderRefused):
            kitchen.place(*broken)
