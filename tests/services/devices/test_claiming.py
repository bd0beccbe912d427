"""A claimed dispenser has an account, flasks and a ledger."""

import random
from typing import Any

import pytest
from sqlalchemy import select

from services.devices import BadSetup, Claim, DeviceExists, FlaskSetup, accounts, claim, claim_all, verify
from services.ledger import tables
from services.ledger.database import Database

FLASKS = (FlaskSetup(1, "flour", 2_000_000, 500_000, 12_000), FlaskSetup(2, "salt", 300_000))


def claimed(db: Database, device: str = "mix-1", flasks: tuple[FlaskSetup, ...] = FLASKS, name: str = "Mixer") -> str:
    return claim(db, device, name=name, flasks=flasks, now_ms=5, by="ana", random_bytes=random.Random(1).randbytes)


def rows(db: Database, table: Any) -> list[dict[str, Any]]:
    with db.read() as tx:
        return [dict(row) for row in tx.execute(select(table).order_by(*table.primary_key.columns)).mappings()]


def test_its_password_signs_in_and_only_the_hash_is_kept(database: Database) -> None:
    password = claimed(database)
    assert verify(database, "mix-1", password)
    assert not verify(database, "mix-1", password + "x")
    (account,) = rows(database, tables.account)
    assert (account["user"], account["role"], account["created_at_ms"]) == ("mix-1", "device", 5)
    assert password not in str(account)
    assert accounts(database) == {"mix-1": account["hash"]}


def test_what_is_in_a_flask_is_its_first_refill(database: Database) -> None:
    claimed(database)
    first, second = rows(database, tables.flask)
    assert (first["ingredient"], first["stock_mg"], first["low_mg"], first["channel"]) == ("flour", 500_000, 200_000, 0)
    assert (second["stock_mg"], second["flow_mg_per_s"], second["channel"]) == (0, 0, 1)
    (movement,) = rows(database, tables.stock_movement)
    assert (movement["kind"], movement["flask"], movement["delta_mg"], movement["by"]) == ("refill", 1, 500_000, "ana")


def test_its_configuration_waits_to_be_sent(database: Database) -> None:
    claimed(database)
    (device,) = rows(database, tables.device)
    assert (device["name"], device["claimed_by"], device["claimed_at_ms"]) == ("Mixer", "ana", 5)
    assert (device["desired_config_version"], device["config_version"], device["online"]) == (1, 0, False)


def test_an_id_is_claimed_once_and_keeps_its_password(database: Database) -> None:
    password = claimed(database)
    with pytest.raises(DeviceExists, match="mix-1 is claimed already"):
        claimed(database, name="Another")
    assert verify(database, "mix-1", password)
    assert len(rows(database, tables.stock_movement)) == 1


def test_flasks_that_cannot_be_are_refused_before_anything_is_kept(database: Database) -> None:
    broken = {
        "flask 1 is used by two": (FlaskSetup(1, "flour", 1000), FlaskSetup(1, "salt", 1000, channel=3)),
        "1001 mg in it": (FlaskSetup(1, "flour", 1000, 1001),),
        "-1 mg in it": (FlaskSetup(1, "flour", 1000, -1),),
    }
    for says, flasks in broken.items():
        with pytest.raises(BadSetup, match=says):
            claimed(database, flasks=flasks)
    assert rows(database, tables.device) == []


def test_an_id_that_is_no_dispensers_is_refused(database: Database) -> None:
    for device in ("", "a", "Mixer", "mix_1", "svc_ingest", "m" * 33):
        with pytest.raises(BadSetup, match="device is"):
            claimed(database, device)


def test_a_dispenser_needs_a_name(database: Database) -> None:
    with pytest.raises(BadSetup, match="name is ''"):
        claimed(database, name="")


def test_a_dispenser_may_be_claimed_before_its_flasks_are_known(database: Database) -> None:
    claimed(database, flasks=())
    assert rows(database, tables.flask) == []


def test_many_are_claimed_at_once_and_those_that_are_known_keep_what_they_have(database: Database) -> None:
    known = claimed(database, "mix-2")
    claims = [Claim(f"mix-{number}", f"Mixer {number}", FLASKS) for number in (3, 1, 2)]
    made = claim_all(database, claims, now_ms=6, by="ana")
    assert set(made) == {"mix-1", "mix-3"}
    assert all(verify(database, device, password) for device, password in {**made, "mix-2": known}.items())
    assert [device["name"] for device in rows(database, tables.device)] == ["Mixer 1", "Mixer", "Mixer 3"]
    stocks = [(flask["device"], flask["stock_mg"], flask["revision"]) for flask in rows(database, tables.flask)]
    assert stocks == [(f"mix-{number}", mg, int(mg > 0)) for number in (1, 2, 3) for mg in (500_000, 0)]
    assert [move["delta_mg"] for move in rows(database, tables.stock_movement)] == [500_000] * 3


def test_of_many_none_is_claimed_when_one_cannot_be(database: Database) -> None:
    with pytest.raises(BadSetup, match="device is 'Mixer'"):
        claim_all(database, [Claim("mix-1", "Mixer", FLASKS), Claim("Mixer", "Mixer", FLASKS)], now_ms=6, by="ana")
    assert rows(database, tables.device) == []
