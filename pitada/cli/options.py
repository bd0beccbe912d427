"""Options that several commands share, and the settings made from them."""

import re
from pathlib import Path
from typing import Annotated, Any

import typer

from services.orders import OrderedItem
from services.settings import Settings

DataDir = Annotated[Path | None, typer.Option(help="Where the database, the broker and the secrets live.")]
DatabaseUrl = Annotated[str | None, typer.Option(help="Database to use instead of SQLite in the data directory.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

_ITEM = re.compile(r"(?P<flask>\d+)=(?P<grams>\d+(?:\.\d{1,3})?)g?")
_SPAN = re.compile(r"(?P<count>\d+)(?P<unit>[smh])")
_UNIT_MS = {"s": 1000, "m": 60_000, "h": 3_600_000}


def settings_from(**flags: Any) -> Settings:
    """Settings where the given flags win over the environment and `.env`."""
    return Settings(**{name: value for name, value in flags.items() if value is not None})


def parse_item(text: str) -> OrderedItem:
    """`2=12.5` (flask 2, 12.5 g) as an ordered item."""
    match = _ITEM.fullmatch(text)
    if match is None:
        raise typer.BadParameter(f"{text!r} is not FLASK=GRAMS, for example 2=12.5 (at most three decimals)")
    whole, _, fraction = match["grams"].partition(".")
    return OrderedItem(flask=int(match["flask"]), target_mg=int(whole) * 1000 + int(fraction.ljust(3, "0")))


def parse_span_ms(text: str) -> int:
    """`90s`, `10m` or `2h` in milliseconds."""
    match = _SPAN.fullmatch(text)
    if match is None:
        raise typer.BadParameter(f"{text!r} is not a time span, for example 90s, 10m or 2h")
    return int(match["count"]) * _UNIT_MS[match["unit"]]
