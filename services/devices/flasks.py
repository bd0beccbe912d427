"""What is said of a flask when a dispenser is claimed, and what can be changed of it later."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from protocol.fields import BadValue, Int, Text
from protocol.limits import MAX_COUNT, MAX_FLASKS
from protocol.messages import FlaskConfig
from services.devices.errors import BadSetup

# Most openings take seconds; a gate that is open for a minute is stuck or was asked for too much.
DEFAULT_MAX_OPEN_MS = 60_000

# The pulses of a hobby servo's two ends, and the time one takes from end to end.
DEFAULT_CLOSED_US = 1000
DEFAULT_OPEN_US = 2000
DEFAULT_SETTLE_MS = 250

_CONFIG = tuple([field.name for field in FlaskConfig.FIELDS])
_LEDGER_FIELDS = (
    Text("ingredient", 1, 80, "", "what is in the flask"),
    Int("capacity_mg", 1, MAX_COUNT, "what it holds when full", "mg"),
    Int("low_mg", 0, MAX_COUNT, "below this it is shown as low", "mg"),
)


@dataclass(frozen=True)
class FlaskSetup:
    """A flask of a new dispenser. `stock_mg` is in it already; `flow_mg_per_s` 0: to be calibrated before it works.

    `low_mg` is a tenth of the capacity, and `channel` the flask's number less one, unless given.
    """

    flask: int
    ingredient: str
    capacity_mg: int
    stock_mg: int = 0
    flow_mg_per_s: int = 0
    low_mg: int | None = None
    max_open_ms: int = DEFAULT_MAX_OPEN_MS
    channel: int | None = None
    closed_us: int = DEFAULT_CLOSED_US
    open_us: int = DEFAULT_OPEN_US
    settle_ms: int = DEFAULT_SETTLE_MS


@dataclass(frozen=True)
class FlaskChange:
    """New settings of a flask; None leaves one as it is."""

    flask: int
    ingredient: str | None = None
    capacity_mg: int | None = None
    low_mg: int | None = None
    flow_mg_per_s: int | None = None
    max_open_ms: int | None = None
    channel: int | None = None
    closed_us: int | None = None
    open_us: int | None = None
    settle_ms: int | None = None

    def values(self) -> dict[str, Any]:
        """What is to change, by column."""
        return {name: value for name, value in asdict(self).items() if name != "flask" and value is not None}


def columns(setup: FlaskSetup) -> dict[str, Any]:
    """The flask's columns, without its dispenser and amounts."""
    values = asdict(setup)
    del values["stock_mg"]
    if values["low_mg"] is None:
        values["low_mg"] = setup.capacity_mg // 10
    if values["channel"] is None:
        values["channel"] = setup.flask - 1
    return values


def check(flasks: Sequence[dict[str, Any]]) -> None:
    """Raises `BadSetup` unless these columns make flasks that one dispenser can have together."""
    for what in ("flask", "channel"):
        used = [flask[what] for flask in flasks]
        twice = sorted({number for number in used if used.count(number) > 1})
        if twice:
            raise BadSetup(f"{what} {twice[0]} is used by two flasks. Give each its own.")
    if len(flasks) > MAX_FLASKS:
        raise BadSetup(f"{len(flasks)} flasks, a dispenser drives at most {MAX_FLASKS}. Use a second dispenser.")
    for flask in flasks:
        try:
            FlaskConfig(**{name: flask[name] for name in _CONFIG})
            for field in _LEDGER_FIELDS:
                field.check(flask[field.name])
        except BadValue as error:
            raise BadSetup(f"Flask {flask['flask']}: {error}. Correct it, then try again.") from error


def is_sent(values: dict[str, Any]) -> bool:
    """Whether the dispenser needs to know of these columns."""
    return any(name in _CONFIG for name in values)
