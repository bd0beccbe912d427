"""Claim a dispenser: from then on it has an account, flasks and a ledger."""

import secrets
from collections.abc import Sequence

from protocol.access import DEVICE
from protocol.fields import BadValue, Text
from protocol.messages import DEVICE_ID
from services.devices import flasks as settings
from services.devices.errors import BadSetup, DeviceExists
from services.devices.flasks import FlaskSetup
from services.devices.passwords import RandomBytes, hash_password, new_password
from services.ledger import accounts as rows
from services.ledger import stock
from services.ledger.database import Database

_NAME = Text("name", 1, 80, "", "what people call the dispenser")


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
    columns = [settings.columns(flask) for flask in flasks]
    try:
        DEVICE_ID.check(device)
        _NAME.check(name)
    except BadValue as error:
        raise BadSetup(f"The dispenser cannot be claimed: {error}. Choose another.") from error
    settings.check(columns)
    for flask in flasks:
        if not 0 <= flask.stock_mg <= flask.capacity_mg:
            raise BadSetup(f"Flask {flask.flask}: {flask.stock_mg} mg in it, it holds 0 to {flask.capacity_mg} mg.")
    password = new_password(random_bytes)
    stored = hash_password(password, random_bytes)
    with db.write() as tx:
        if not rows.add_dispenser(tx, device, name, columns, now_ms=now_ms, by=by):
            raise DeviceExists(device)
        if not rows.add_account(tx, device, DEVICE, stored, now_ms):
            raise DeviceExists(device)
        for flask in sorted(flasks, key=lambda one: one.flask):
            if flask.stock_mg:
                stock.refill(tx, device, flask.flask, flask.stock_mg, by=by, now_ms=now_ms, note="first stock")
    return password
