"""Accounts of everything that connects to the broker."""

from typing import Any

import pytest

from services.devices import (
    NotAServiceAccount,
    UnknownAccount,
    accounts,
    ensure_service_account,
    rotate_password,
    rotate_passwords,
    verify,
)
from services.ledger.database import Database


def test_a_rotated_password_replaces_the_old_one(kitchen: Any) -> None:
    old = kitchen.claim("mix-2")
    new = rotate_password(kitchen.database, "mix-2")
    assert new != old
    assert verify(kitchen.database, "mix-2", new)
    assert not verify(kitchen.database, "mix-2", old)


def test_many_passwords_are_rotated_at_once(kitchen: Any) -> None:
    old = {device: kitchen.claim(device) for device in ("mix-2", "mix-3", "mix-4")}
    new = rotate_passwords(kitchen.database, ["mix-2", "mix-4"])
    assert set(new) == {"mix-2", "mix-4"}
    assert all(verify(kitchen.database, device, password) for device, password in {**old, **new}.items())
    assert not verify(kitchen.database, "mix-2", old["mix-2"])


def test_the_password_of_an_unknown_account_cannot_be_rotated(database: Database) -> None:
    with pytest.raises(UnknownAccount, match="mix-9"):
        rotate_password(database, "mix-9")


def test_an_unknown_account_has_no_password_not_even_an_empty_one(database: Database) -> None:
    assert not verify(database, "mix-9", "")


def test_a_password_that_no_text_holds_is_wrong(kitchen: Any) -> None:
    assert not verify(kitchen.database, "mix-1", "\ud800")


def test_a_service_signs_in_with_the_password_it_was_given(database: Database) -> None:
    for user in ("svc_ingest", "svc_dispatch", "svc_dashboard", "op_ana"):
        ensure_service_account(database, user, "secret of " + user, 5)
        assert verify(database, user, "secret of " + user)


def test_the_same_password_again_keeps_the_hash_and_another_replaces_it(database: Database) -> None:
    ensure_service_account(database, "svc_ingest", "secret", 5)
    first = accounts(database)
    ensure_service_account(database, "svc_ingest", "secret", 6)
    assert accounts(database) == first
    ensure_service_account(database, "svc_ingest", "other", 7)
    assert verify(database, "svc_ingest", "other")
    assert not verify(database, "svc_ingest", "secret")


def test_a_name_that_is_no_services_is_refused(database: Database) -> None:
    for user in ("mix-1", "svc_other", "", "op_"):
        with pytest.raises(NotAServiceAccount):
            ensure_service_account(database, user, "secret", 5)
    assert accounts(database) == {}


def test_every_account_is_listed_for_the_brokers(kitchen: Any) -> None:
    ensure_service_account(kitchen.database, "svc_ingest", "secret", 5)
    listed = accounts(kitchen.database)
    assert list(listed) == ["mix-1", "svc_ingest"]
    assert all(stored.startswith("$7$101$") for stored in listed.values())
