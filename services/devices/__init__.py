"""Dispensers and accounts: claim a dispenser, configure its flasks, keep the passwords of everything that connects."""

from services.devices.accounts import accounts, ensure_service_account, rotate_password, rotate_passwords, verify
from services.devices.claiming import Claim, claim, claim_all
from services.devices.configuring import configure
from services.devices.errors import (
    BadSetup,
    DeviceExists,
    DeviceRefused,
    FlaskInUse,
    NotAServiceAccount,
    UnknownAccount,
    UnknownDispenser,
    UnknownFlask,
)
from services.devices.flasks import FlaskChange, FlaskSetup

__all__ = [
    "BadSetup",
    "Claim",
    "DeviceExists",
    "DeviceRefused",
    "FlaskChange",
    "FlaskInUse",
    "FlaskSetup",
    "NotAServiceAccount",
    "UnknownAccount",
    "UnknownDispenser",
    "UnknownFlask",
    "accounts",
    "claim",
    "claim_all",
    "configure",
    "ensure_service_account",
    "rotate_password",
    "rotate_passwords",
    "verify",
]
