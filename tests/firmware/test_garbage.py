"""Garbage from the broker moves no flask, and what it is poured over goes on."""

import random
import sys

from tests.firmware.garbage import Downpour

# MicroPython's VM takes some twenty times as long. `make vm ARGS="garbage"` pours a million there.
COUNT = 1000 if sys.implementation.name == "micropython" else 10_000


def test_packets_and_payloads_that_are_nearly_right_open_no_flask() -> None:
    downpour = Downpour(random.Random(1))
    downpour.pour(COUNT)
    assert downpour.opened == 0
    assert downpour.connects > COUNT // 200, "broken packets end the stream, and it is opened again"
    assert downpour.heard > COUNT // 2
