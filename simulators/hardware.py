"""The parts of a dispenser that outlive a power cut."""

import random
from typing import NamedTuple

from firmware.core.ports import Sampled
from simulators.faults import Strikes
from simulators.flash import Flash
from simulators.flask import Flask

# What a sensor reading is drawn from: a usable Wi-Fi signal, and an ESP32's heap with Wi-Fi and TLS up.
_RSSI_DBM = (-85, -45)
_FREE_HEAP_BYTES = (96_000, 129_000)


class Hardware(NamedTuple):
    """The flasks by number, the flash, what will go wrong, and chance."""

    flasks: dict[int, Flask]
    flash: Flash
    strikes: Strikes
    rng: random.Random

    def sample(self) -> Sampled:
        """Read the sensors."""
        return Sampled(self.rng.randint(*_RSSI_DBM), self.rng.randint(*_FREE_HEAP_BYTES))
