"""A small version of `make soak`: the same code, a hundred dispensers, two minutes of kills and a bad network."""

import pytest

from tests.chaos import soak

# Real servers on a machine that does other things too.
pytestmark = pytest.mark.timeout(500)


async def test_kill_9_of_anything_behind_a_bad_network_loses_nothing_and_debits_nothing_twice() -> None:
    figures = await soak.run(soak.Wanted(database="postgresql", minutes=2, dispensers=100, fsync=False))
    assert figures["problems"] == ()
    promised = (
        *("receipted_lost", "double_debits", "divergences", "double_dispenses", "unjournaled", "audit"),
        *("orders_lost", "orders_doubled", "open_jobs", "reserved_mg", "stale_stock"),
    )
    assert {name: figures[name] for name in promised} == dict.fromkeys(promised, 0)
    assert (figures["ended_by_themselves"], figures["tracebacks"]) == ({}, {})
    # It was no walk: every kill found its process, most of the fleet's connections broke, and jobs ended all the same.
    assert sum(figures["kills"].values()) >= 20
    assert sum(figures["network_faults"].values()) >= 20
    assert figures["receipted"] > 100
