"""A change of flasks goes out as the next configuration version, or not at all."""

from typing import Any

import pytest

from services.devices import BadSetup, FlaskChange, FlaskInUse, UnknownDispenser, UnknownFlask, configure
from services.ledger import stock


def test_what_the_dispenser_must_know_raises_its_version(kitchen: Any) -> None:
    changes = [FlaskChange(1, flow_mg_per_s=8_000, max_open_ms=9_000), FlaskChange(2, settle_ms=0)]
    assert configure(kitchen.database, "mix-1", changes) == 2
    assert (kitchen.flask(1)["flow_mg_per_s"], kitchen.flask(1)["max_open_ms"]) == (8_000, 9_000)
    assert kitchen.flask(2)["settle_ms"] == 0
    assert configure(kitchen.database, "mix-1", [FlaskChange(3, closed_us=900)]) == 3


def test_what_only_the_ledger_knows_does_not(kitchen: Any) -> None:
    assert configure(kitchen.database, "mix-1", [FlaskChange(1, low_mg=5, capacity_mg=3_000_000)]) is None
    assert (kitchen.flask(1)["low_mg"], kitchen.flask(1)["capacity_mg"]) == (5, 3_000_000)


def test_what_is_so_already_does_not(kitchen: Any) -> None:
    assert configure(kitchen.database, "mix-1", [FlaskChange(1, flow_mg_per_s=10_000), FlaskChange(2)]) is None


def test_the_version_is_above_the_one_that_the_dispenser_has(kitchen: Any) -> None:
    kitchen.status(config_version=9)
    assert configure(kitchen.database, "mix-1", [FlaskChange(1, flow_mg_per_s=1)]) == 10


def test_two_flasks_can_swap_their_channels(kitchen: Any) -> None:
    assert configure(kitchen.database, "mix-1", [FlaskChange(1, channel=1), FlaskChange(2, channel=0)]) == 2
    with pytest.raises(BadSetup, match="channel 2 is used by two"):
        configure(kitchen.database, "mix-1", [FlaskChange(1, channel=2)])
    assert kitchen.flask(1)["channel"] == 1


def test_all_changes_or_none(kitchen: Any) -> None:
    with pytest.raises(BadSetup, match="Flask 2: open_us is 1"):
        configure(kitchen.database, "mix-1", [FlaskChange(1, flow_mg_per_s=1), FlaskChange(2, open_us=1)])
    assert kitchen.flask(1)["flow_mg_per_s"] == 10_000


def test_an_ingredient_changes_only_in_an_empty_flask_that_nobody_waits_for(kitchen: Any) -> None:
    with pytest.raises(FlaskInUse, match=r"Flask 1 of mix-1 still holds flour"):
        configure(kitchen.database, "mix-1", [FlaskChange(1, ingredient="rice")])
    job = kitchen.place((1, 10))
    with kitchen.database.write() as tx:
        stock.count(tx, "mix-1", 1, 0, by="ana", now_ms=kitchen.now_ms)
    with pytest.raises(FlaskInUse):
        configure(kitchen.database, "mix-1", [FlaskChange(1, ingredient="rice")])
    kitchen.cancel(job.job)
    assert configure(kitchen.database, "mix-1", [FlaskChange(1, ingredient="rice")]) is None
    assert kitchen.flask(1)["ingredient"] == "rice"


def test_what_is_not_there_is_named(kitchen: Any) -> None:
    with pytest.raises(UnknownDispenser, match="mix-9"):
        configure(kitchen.database, "mix-9", [])
    with pytest.raises(UnknownFlask, match="no flask 7; it has 1, 2, 3"):
        configure(kitchen.database, "mix-1", [FlaskChange(7, low_mg=1)])
