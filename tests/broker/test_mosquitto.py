"""Mosquitto's files as text; that the real one accepts and obeys them is shown by `contract/`."""

from pathlib import Path

import pytest

from broker.limits import MAX_PACKET_BYTES
from broker.mosquitto import BadAccount, access_list, config, passwords
from protocol import access

HASH = "$7$101$c2FsdA==$aGFzaA=="


def test_every_access_rule_is_in_the_list_and_nothing_else() -> None:
    accounts = {**dict.fromkeys(access.SERVICE_ACCOUNTS, HASH), "op_ana": HASH, "dev-a": HASH}
    verbs = {access.PUBLISH: "write", access.SUBSCRIBE: "read"}
    expected = {f"topic deny pitada/v1/{user}/#" for user in (*access.SERVICE_ACCOUNTS, "op_ana")}
    for rule in access.RULES:
        kind = "pattern" if rule.role == access.DEVICE else "topic"
        expected.add(f"{kind} {verbs[rule.action]} {rule.filter.replace('{user}', '%u')}")

    lines = [line for line in access_list(accounts).splitlines() if line.startswith(("topic", "pattern"))]

    assert set(lines) == expected


def test_a_dispenser_has_no_block_of_its_own() -> None:
    assert "dev-a" not in access_list({"dev-a": HASH})


@pytest.mark.parametrize("user", ["op_a b", "op_a:b", "op_+", "op_x\ntopic readwrite #", "Nobody", "", "svc_other"])
def test_a_name_that_could_break_or_widen_the_files_is_refused(user: str) -> None:
    with pytest.raises(BadAccount, match="cannot be an account"):
        access_list({user: HASH})
    with pytest.raises(BadAccount, match="cannot be an account"):
        passwords({user: HASH})


@pytest.mark.parametrize("hashed", ["plain", "$6$salt$hash", "$7$101$a$b\nadmin:x", ""])
def test_a_password_that_is_no_hash_is_refused(hashed: str) -> None:
    with pytest.raises(BadAccount, match="dev-a"):
        passwords({"dev-a": hashed})


def test_the_configuration_closes_the_door_and_keeps_what_it_has() -> None:
    lines = config(Path("/var/lib/pitada"), host="127.0.0.1", port=1883).splitlines()

    for line in (
        "allow_anonymous false",
        "use_username_as_clientid true",
        "listener 1883 127.0.0.1",
        f"max_packet_size {MAX_PACKET_BYTES}",
        "max_queued_messages 0",
        "persistence true",
        "autosave_interval 5",
    ):
        assert line in lines
