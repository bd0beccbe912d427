"""Virtual time passes only where nothing else is to do, and the same callbacks run in the same order."""

import asyncio
from typing import Any

import pytest

from simulators.world import loop as loop_module
from simulators.world.loop import Stuck, VirtualLoop


def new_loop(errors: list[dict[str, Any]] | None = None) -> VirtualLoop:
    return VirtualLoop((errors if errors is not None else []).append)  # type: ignore[abstract]  # as in a world


def test_an_hour_passes_at_once() -> None:
    loop = new_loop()
    done: list[float] = []

    async def wait() -> None:
        await asyncio.sleep(3600)
        done.append(loop.time())

    loop.call_soon(lambda: loop.create_task(wait()))
    assert loop.run(lambda: bool(done), 10_000)
    assert done == [3600]


def test_callbacks_of_one_moment_run_in_the_order_they_were_asked_for() -> None:
    loop = new_loop()
    seen: list[int] = []
    for number in (1, 2, 3):
        loop.call_at(5, seen.append, number)
    loop.call_at(4, seen.append, 0)
    loop.call_at(6, seen.append, 9).cancel()
    assert not loop.run(lambda: False, 10)
    assert seen == [0, 1, 2, 3]
    assert loop.time() == 10


def test_time_stops_where_it_is_told_to() -> None:
    loop = new_loop()
    seen: list[int] = []
    loop.call_at(5, seen.append, 1)
    assert not loop.run(lambda: False, 4)
    assert (seen, loop.time()) == ([], 4)
    assert not loop.run(lambda: False, 5)
    assert seen == [1]


def test_callbacks_that_never_let_time_pass_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop_module, "MOST_AT_ONCE", 100)
    loop = new_loop()

    def again() -> None:
        loop.call_soon(again)

    again()
    with pytest.raises(Stuck):
        loop.run(lambda: False, 10)


def test_what_nobody_caught_is_heard() -> None:
    errors: list[dict[str, Any]] = []
    loop = new_loop(errors)
    loop.call_soon(int, "seven")
    loop.run(lambda: False, 1)
    assert isinstance(errors[0]["exception"], ValueError)


def test_a_thread_is_a_call_that_somebody_carries_out() -> None:
    loop = new_loop()
    loop.work = lambda call, future: future.set_result(call())
    got: list[int] = []

    async def ask() -> None:
        got.append(await asyncio.to_thread(len, "four"))

    loop.call_soon(lambda: loop.create_task(ask()))
    loop.run(lambda: bool(got), 1)
    assert got == [4]


def test_without_a_network_nothing_can_be_opened() -> None:
    errors: list[dict[str, Any]] = []
    loop = new_loop(errors)

    async def connect() -> None:
        with pytest.raises(RuntimeError, match="no network"):
            await loop.create_connection(asyncio.Protocol, "broker", 1883)
        errors.append({})

    loop.call_soon(lambda: loop.create_task(connect()))
    assert loop.run(lambda: bool(errors), 1)
