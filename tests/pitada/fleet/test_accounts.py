"""The dispensers of a fleet are claimed as real ones are, and wait for the broker to know them."""

from pathlib import Path

import pytest

from pitada.fleet import accounts as module
from pitada.fleet.accounts import CONTENTS_MG, FLASKS, claim_fleet, known_to_broker
from services import devices
from services.ledger import queries
from services.ledger.database import Database
from services.mqtt import BrokerAddress
from simulators.fleet import DispenserSpec, FleetBroken
from tests.integration.houses import running_house

NAMES = [f"sim-{number:04}" for number in range(1, 8)]


def test_a_fleet_is_claimed_in_portions_and_claimed_again_with_new_passwords(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_AT_ONCE", 3)
    database = Database(f"sqlite:///{tmp_path / 'ledger.db'}")
    database.migrate()
    first = claim_fleet(database, NAMES[:4])
    again = claim_fleet(database, NAMES)
    assert [spec.device for spec in again] == NAMES
    assert all(devices.verify(database, spec.device, spec.password) for spec in again)
    assert not any(devices.verify(database, spec.device, spec.password) for spec in first)
    with database.read() as tx:
        assert [flask.stock_mg for flask in queries.stock(tx)] == [CONTENTS_MG] * FLASKS * len(NAMES)
    database.close()


async def test_a_fleet_waits_until_its_broker_knows_it(tmp_path: Path) -> None:
    async with running_house(tmp_path, "embedded") as running:
        await known_to_broker(running.house.broker, running.specs[-1])


async def test_a_broker_that_lets_nobody_in_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_KNOWN_S", 0.2)
    with pytest.raises(FleetBroken, match=r"127.0.0.1:1 lets sim-1 not sign in: .*Is it the broker of this house"):
        await known_to_broker(BrokerAddress("127.0.0.1", 1), DispenserSpec("sim-1", "secret", []))
