"""The demo's dispensers: what is in their flasks, for the ledger and for the simulation."""

from collections.abc import Iterable
from dataclasses import dataclass

from services import devices
from services.devices import FlaskSetup
from services.ledger.database import Database
from simulators.flask import FlaskSpec
from simulators.fleet import DispenserSpec

# Enough that no demo runs a flask dry.
STOCK_MG = 5_000_000


@dataclass(frozen=True)
class DemoFlask:
    """One flask; flow 0 is one that nobody has calibrated, so that every demo shows what that looks like."""

    ingredient: str
    flow_mg_per_s: int


KITCHEN: dict[str, tuple[str, tuple[DemoFlask, ...]]] = {
    "bakery": (
        "Bakery",
        (DemoFlask("Flour", 40_000), DemoFlask("Sugar", 30_000), DemoFlask("Salt", 8_000), DemoFlask("Yeast", 6_000)),
    ),
    "bar": (
        "Bar",
        (
            DemoFlask("Mint", 5_000),
            DemoFlask("Cane sugar", 25_000),
            DemoFlask("Lime", 20_000),
            DemoFlask("Ice", 60_000),
        ),
    ),
    "spice-rack": (
        "Spice rack",
        (DemoFlask("Cumin", 4_000), DemoFlask("Paprika", 5_000), DemoFlask("Pepper", 3_000), DemoFlask("Saffron", 0)),
    ),
}


def claim_all(database: Database, now_ms: int) -> list[DispenserSpec]:
    """Claims every dispenser of the demo; its password goes straight to the simulated board."""
    return [_claim(database, device, name, flasks, now_ms) for device, (name, flasks) in KITCHEN.items()]


def _claim(database: Database, device: str, name: str, flasks: Iterable[DemoFlask], now_ms: int) -> DispenserSpec:
    numbered = list(enumerate(flasks, start=1))
    setups = [
        FlaskSetup(number, flask.ingredient, STOCK_MG, STOCK_MG, flow_mg_per_s=flask.flow_mg_per_s)
        for number, flask in numbered
    ]
    password = devices.claim(database, device, name=name, flasks=setups, now_ms=now_ms, by="demo")
    specs = [FlaskSpec(number, STOCK_MG, max(flask.flow_mg_per_s, 1)) for number, flask in numbered]
    return DispenserSpec(device, password, specs)
