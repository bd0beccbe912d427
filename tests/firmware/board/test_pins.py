"""The wiring table is what the code uses."""

import re
from pathlib import Path

from firmware.board import pins

PAGE = Path(__file__).parents[3] / "docs" / "firmware.md"

USES = {
    "SDA": "PCA9685 `SDA`",
    "SCL": "PCA9685 `SCL`",
    "ENABLE": "PCA9685 `OE`",
    "BUTTON": "a button to ground",
    "LED": "a LED (330 Ω) to ground",
    "SCALE_DATA": "HX711 `DT`",
    "SCALE_CLOCK": "HX711 `SCK`",
}


def test_every_pin_is_in_the_wiring_table_and_the_table_has_no_other() -> None:
    rows = re.findall(r"^\| GPIO (\d+) \| (.*?) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert {use: int(pin) for pin, use in rows} == {use: getattr(pins, name) for name, use in USES.items()}


def test_no_pin_has_two_uses() -> None:
    used = [getattr(pins, name) for name in USES]
    assert len(set(used)) == len(used)
