"""The demo's dispensers: what is in their flasks, for the ledger and for the simulation."""

from dataclasses import dataclass

from services import devices
from services.devices import FlaskSetup
from services.ledger.database import Database
from simulators.flask import FlaskSpec
from simulators.fleet import DispenserSpec

# A full flask can stay open for so long in all; enough for the special jobs, little enough to watch it go down.
_FULL_S = 30

# How full it is at the start.
_START_PERCENT = 80


@dataclass(frozen=True)
class DemoFlask:
    """One flask; flow 0 is one that nobody has calibrated, so that every demo shows what that looks like."""

    ingredient: str
    flow_mg_per_s: int

    @property
    def capacity_mg(self) -> int:
        return max(self.flow_mg_per_s, 1_000) * _FULL_S

    @property
    def start_mg(self) -> int:
        return self.capacity_mg * _START_PERCENT // 100


@dataclass(frozen=True)
class DemoDispenser:
    """One dispenser; its flasks count from 1."""

    name: str
    flasks: tuple[DemoFlask, ...]

    def calibrated(self) -> list[int]:
        """The flasks that can be opened."""
        return [number for number, flask in enumerate(self.flasks, start=1) if flask.flow_mg_per_s]

    def uncalibrated(self) -> list[int]:
        """The flasks that cannot."""
        return [number for number, flask in enumerate(self.flasks, start=1) if not flask.flow_mg_per_s]


KITCHEN = {
    "bakery": DemoDispenser(
        "Bakery",
        (DemoFlask("Flour", 40_000), DemoFlask("Sugar", 30_000), DemoFlask("Salt", 8_000), DemoFlask("Yeast", 6_000)),
    ),
    "bar": DemoDispenser(
        "Bar",
        (
            DemoFlask("Mint", 5_000),
            DemoFlask("Cane sugar", 25_000),
            DemoFlask("Lime", 20_000),
            DemoFlask("Ice", 60_000),
        ),
    ),
    "spice-rack": DemoDispenser(
        "Spice rack",
        (DemoFlask("Cumin", 4_000), DemoFlask("Paprika", 5_000), DemoFlask("Pepper", 3_000), DemoFlask("Saffron", 0)),
    ),
}


def claim_all(database: Database, now_ms: int) -> list[DispenserSpec]:
    """Claims every dispenser of the demo; its password goes straight to the simulated board."""
    return [_claim(database, device, dispenser, now_ms) for device, dispenser in KITCHEN.items()]


def _claim(database: Database, device: str, dispenser: DemoDispenser, now_ms: int) -> DispenserSpec:
    numbered = list(enumerate(dispenser.flasks, start=1))
    setups = [
        FlaskSetup(number, flask.ingredient, flask.capacity_mg, flask.start_mg, flow_mg_per_s=flask.flow_mg_per_s)
        for number, flask in numbered
    ]
    password = devices.claim(database, device, name=dispenser.name, flasks=setups, now_ms=now_ms, by="demo")
    specs = [FlaskSpec(number, flask.start_mg, max(flask.flow_mg_per_s, 1)) for number, flask in numbered]
    return DispenserSpec(device, password, specs)
