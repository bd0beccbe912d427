"""The API as an operator's script uses it, at a real house."""

import asyncio
from pathlib import Path

import pytest

from pitada.fleet.api import Api, ApiRefused, ApiUnreachable, Item
from services import people
from services.clock import now_ms
from services.ledger import sessions
from tests.integration.houses import TestHouse, running_house


def api_of(running: TestHouse) -> Api:
    database = running.house.database
    return Api(running.house.url, lambda: people.new_sign_in_link_token(database, now_ms(), user="fleet"))


async def test_a_script_signs_in_orders_once_for_each_key_and_reads_what_became_of_it(tmp_path: Path) -> None:
    async with running_house(tmp_path, "embedded") as running:
        api = api_of(running)

        def work() -> None:
            first = api.place("bakery", [Item(1, 5_000), Item(3, 800)], "run-1")
            assert (first.device, first.state, first.placed_by) == ("bakery", "queued", "fleet")
            assert api.place("bakery", [Item(1, 5_000), Item(3, 800)], "run-1").job == first.job
            second = api.place("bar", [Item(2, 1_000)], "run-2")
            assert [job.job for job in api.jobs(10)] == [second.job, first.job]
            assert [job.job for job in api.jobs(1, second.job)] == [first.job]
            assert [item.target_mg for item in api.job(first.job).items] == [5_000, 800]

        await asyncio.to_thread(work)


async def test_a_refusal_has_the_reason_for_a_person(tmp_path: Path) -> None:
    async with running_house(tmp_path, "embedded") as running:
        api = api_of(running)
        with pytest.raises(ApiRefused, match="flask 9") as refused:
            await asyncio.to_thread(api.place, "bakery", [Item(9, 5_000)], "run-1")
        assert 400 <= refused.value.status < 500


async def test_a_session_that_ended_is_opened_again(tmp_path: Path) -> None:
    async with running_house(tmp_path, "embedded") as running:
        api = api_of(running)
        await asyncio.to_thread(api.jobs, 1)
        with running.house.database.write() as tx:
            sessions.forget_expired(tx, now_ms() + people.SESSION_VALID_MS + 1)
        assert await asyncio.to_thread(api.jobs, 1) == []


def test_a_dashboard_that_is_not_there_is_named() -> None:
    with pytest.raises(ApiUnreachable, match=r"The dashboard at http://127.0.0.1:1 does not answer"):
        Api("http://127.0.0.1:1/", lambda: "token").sign_in()
