"""Templates, and how numbers, times and states look in them before the browser makes them local."""

from datetime import UTC, datetime
from pathlib import Path
from zlib import crc32

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from dashboard import words
from dashboard.deps import dashboard
from protocol.errors import FAULTS, ITEM_ERRORS, REFUSALS
from protocol.states import JOB_ENDS

TEMPLATES = Path(__file__).with_name("templates")

# Liquids are told apart by name; the tint only helps the eye. See --tint-* in the style sheet.
TINTS = 6

MINUS = "\N{MINUS SIGN}"
UNKNOWN = "\N{EN DASH}"


def environment() -> Environment:
    """The template environment. Escapes everything; an undefined name is an error."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(
        grams=grams,
        short_grams=short_grams,
        signed_grams=signed_grams,
        utc=utc,
        iso=iso,
        seconds=seconds,
        ago=ago,
        tint=tint,
    )
    made.filters["plain_grams"] = plain_grams
    made.globals.update(
        item_words=words.ITEM_WORDS,
        job_words=words.JOB_WORDS,
        movement_words=words.MOVEMENT_WORDS,
        fault_words=FAULTS,
        resolution_words=words.RESOLUTION_WORDS,
        item_errors=ITEM_ERRORS,
        refusals=REFUSALS,
        job_ends=JOB_ENDS,
    )
    return made


def render(request: Request, template: str, status: int = 200, **values: object) -> HTMLResponse:
    """A page. Every template knows `now_ms` and `user` (None when nobody is signed in)."""
    templates: Environment = request.app.state.templates
    values.setdefault("user", None)
    values["now_ms"] = dashboard(request).now_ms()
    values["path"] = request.url.path
    return HTMLResponse(templates.get_template(template).render(values), status_code=status)


def grams(amount_mg: int | None) -> str:
    """`12.5 g`, without digits that are not there; an unknown amount is a dash."""
    return UNKNOWN if amount_mg is None else f"{plain_grams(amount_mg, group=True)} g"


def short_grams(amount_mg: int) -> str:
    """`4,973 g` or `97.3 g`: about four digits, for a small space; `shortMass` in format.js writes the same."""
    step_mg = 1000 if abs(amount_mg) >= 1_000_000 else 100 if abs(amount_mg) >= 100_000 else 10
    steps = (2 * abs(amount_mg) + step_mg) // (2 * step_mg)
    return grams(steps * step_mg * (-1 if amount_mg < 0 else 1))


def signed_grams(amount_mg: int) -> str:
    """`+12.5 g`, or with a minus sign."""
    return f"{'+' if amount_mg > 0 else MINUS if amount_mg < 0 else ''}{grams(abs(amount_mg))}"


def plain_grams(amount_mg: int, group: bool = False) -> str:
    """The number of grams alone, as a form takes it."""
    whole, rest = divmod(abs(amount_mg), 1000)
    sign = (MINUS if group else "-") if amount_mg < 0 else ""
    digits = f"{rest:03}".rstrip("0")
    return sign + (f"{whole:,}" if group else str(whole)) + (f".{digits}" if digits else "")


def seconds(duration_ms: int | None) -> str:
    """`2.4 s`; an unknown duration is a dash."""
    return UNKNOWN if duration_ms is None else f"{duration_ms / 1000:.1f} s"


def iso(at_ms: int) -> str:
    """The moment for `<time datetime>`."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")


def utc(at_ms: int) -> str:
    """The moment in words, in UTC; scripts make it local."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def ago(at_ms: int | None, now_ms: int) -> str:
    """`3 min ago`, in the largest unit that fits."""
    if at_ms is None:
        return "never"
    age_s = max(0, now_ms - at_ms) // 1000
    for size_s, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if age_s >= size_s:
            return f"{age_s // size_s} {unit} ago"
    return f"{age_s} s ago"


def tint(ingredient: str) -> int:
    """Which of the tints an ingredient has: the same one on every flask and page."""
    return crc32(ingredient.encode()) % TINTS
