"""Claim a dispenser: from then on it has an account, flasks and a ledger."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from protocol.access import DEVICE
from protocol.fields import BadValue, Text
from protocol.messages import DEVICE_ID
from services.devices import flasks as settings
from services.devices.errors import BadSetup, DeviceExists
from services.devices.flasks import FlaskSetup
from services.devices.passwords import RandomBytes, hash_password, new_password
from services.ledger import accounts as rows
from services.ledger import stock
from services.ledger.accounts import NewDispenser
from services.ledger.database import Database
from services.ledger.stock import FirstStock

_NAME = Text("name", 1, 80, "", "what people call the dispenser")


@dataclass(frozen=True)
class Claim:
    """A dispenser to be known: its id, its name, its flasks with what is in them."""

    device: str
    name: str
    flasks: Sequence[FlaskSetup]


def claim(
    db: Database,
    device: str,
    *,
    name: str,
    flasks: Sequence[FlaskSetup],
    now_ms: int,
    by: str,
    random_bytes: RandomBytes = secrets.token_bytes,
) -> str:
    """Make the dispenser known, with its flasks and what is in them as their first refill.

    Returns its MQTT password: shown once, kept only as a hash. Raises `BadSetup`, `DeviceExists`.
    """
    made = claim_all(db, [Claim(device, name, flasks)], now_ms=now_ms, by=by, random_bytes=random_bytes)
    if device not in made:
        raise DeviceExists(device)
    return made[device]


def claim_all(
    db: Database, claims: Sequence[Claim], *, now_ms: int, by: str, random_bytes: RandomBytes = secrets.token_bytes
) -> dict[str, str]:
    """Claim many in one transaction. Returns the password of each; one that was claimed already is left out.

    Raises `BadSetup`, and `DeviceExists` for an id that is the name of an account but no dispenser's; all or none.
    """
    new = [_checked(one) for one in claims]
    passwords = {one.device: new_password(random_bytes) for one in claims}
    hashes = {device: hash_password(password, random_bytes) for device, password in passwords.items()}
    with db.write() as tx:
        added = rows.add_dispensers(tx, new, now_ms=now_ms, by=by)
        free = rows.add_accounts(tx, DEVICE, {device: hashes[device] for device in added}, now_ms)
        for device in sorted(added - free):
            raise DeviceExists(device)
        first = [
            FirstStock(one.device, flask.flask, flask.ingredient, flask.stock_mg)
            for one in claims
            if one.device in added
            for flask in sorted(one.flasks, key=lambda each: each.flask)
            if flask.stock_mg
        ]
        stock.first_stock(tx, first, by=by, now_ms=now_ms)
    return {device: password for device, password in passwords.items() if device in added}


def _checked(claim: Claim) -> NewDispenser:
    columns = [settings.columns(flask) for flask in claim.flasks]
    try:
        DEVICE_ID.check(claim.device)
        _NAME.check(claim.name)
    except BadValue as error:
        raise BadSetup(f"The dispenser cannot be claimed: {error}. Choose another.") from error
    settings.check(columns)
    for flask in claim.flasks:
        if not 0 <= flask.stock_mg <= flask.capacity_mg:
            raise BadSetup(f"Flask {flask.flask}: {flask.stock_mg} mg in it, it holds 0 to {flask.capacity_mg} mg.")
    return NewDispenser(claim.device, claim.name, columns)
