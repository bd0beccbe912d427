"""Options that several commands share, and the settings made from them."""

import re
from pathlib import Path
from typing import Annotated, Any

import typer

from pitada.ledger import open_database
from services import recipes
from services.ledger.database import Database
from services.orders import OrderedItem
from services.recipes import Ingredient, Scale
from services.settings import Settings

DataDir = Annotated[Path | None, typer.Option(help="Where the database, the broker and the secrets live.")]
DatabaseUrl = Annotated[str | None, typer.Option(help="Database to use instead of SQLite in the data directory.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
BrokerHost = Annotated[str | None, typer.Option(help="Address of the broker.")]
BrokerPort = Annotated[int | None, typer.Option(help="Port of the broker.")]
BrokerTlsCa = Annotated[str | None, typer.Option(help="Certificates to trust for a TLS broker.")]
Device = Annotated[str, typer.Argument(help="The dispenser.")]
Flask = Annotated[int, typer.Argument(help="The flask's number.")]
Limit = Annotated[int, typer.Option(min=1, max=1000, help="At most this many, the latest first.")]

_ITEM = re.compile(r"(?P<flask>\d+)=(?P<grams>\d+(?:\.\d{1,3})?)g?")
_GRAMS = re.compile(r"(?P<whole>\d{1,7})(?:\.(?P<fraction>\d{1,3}))?g?")
_INGREDIENT = re.compile(r"(?P<ingredient>[^=]*[^=\s])\s*=(?P<grams>[^=]+)")
_SPAN = re.compile(r"(?P<count>\d+)(?P<unit>[smh])")
_UNIT_MS = {"s": 1000, "m": 60_000, "h": 3_600_000}


def settings_from(**flags: Any) -> Settings:
    """Settings where the given flags win over the environment and `.env`."""
    return Settings(**{name: value for name, value in flags.items() if value is not None})


def open_ledger(data_dir: Path | None, database_url: str | None) -> Database:
    """The ledger that these two options name, at this version's tables."""
    return open_database(settings_from(data_dir=data_dir, database_url=database_url))


def parse_item(text: str) -> OrderedItem:
    """`2=12.5` (flask 2, 12.5 g) as an ordered item."""
    match = _ITEM.fullmatch(text)
    if match is None:
        raise typer.BadParameter(f"{text!r} is not FLASK=GRAMS, for example 2=12.5 (at most three decimals)")
    return OrderedItem(flask=int(match["flask"]), target_mg=parse_grams(match["grams"]))


def parse_grams(text: str) -> int:
    """`12.5` or `12.5g` as 12,500 mg."""
    match = _GRAMS.fullmatch(text)
    if match is None:
        raise typer.BadParameter(f"{text!r} is not an amount in grams, for example 12.5 (at most three decimals)")
    return int(match["whole"]) * 1000 + int((match["fraction"] or "").ljust(3, "0"))


def parse_ingredient(text: str) -> Ingredient:
    """`Sea salt=12.5` (12.5 g of sea salt) as an ingredient of a recipe."""
    match = _INGREDIENT.fullmatch(text.strip())
    if match is None:
        raise typer.BadParameter(f"{text!r} is not INGREDIENT=GRAMS, for example 'Sea salt=12.5'")
    return Ingredient(match["ingredient"], parse_grams(match["grams"]))


def parse_scale(scale: str | None, total: str | None) -> Scale:
    """`--scale 2.5` or `--total 500g`; once when neither is given."""
    if scale is not None and total is not None:
        raise typer.BadParameter("give either --scale or --total")
    if total is not None:
        return recipes.by_total(parse_grams(total))
    match = _GRAMS.fullmatch(scale or "1")
    if match is None or (scale or "").endswith("g"):
        raise typer.BadParameter(f"{scale!r} is not a scale, for example 2 or 0.5 (at most three decimals)")
    return recipes.times(int(match["whole"]) * 1000 + int((match["fraction"] or "").ljust(3, "0")))


def parse_span_ms(text: str) -> int:
    """`90s`, `10m` or `2h` in milliseconds."""
    match = _SPAN.fullmatch(text)
    if match is None:
        raise typer.BadParameter(f"{text!r} is not a time span, for example 90s, 10m or 2h")
    return int(match["count"]) * _UNIT_MS[match["unit"]]
