"""How commands speak: tables or JSON on standard output, everything else on standard error."""

import json
import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, is_dataclass
from datetime import UTC, datetime

import structlog
from pydantic import BaseModel
from rich.console import Console
from rich.table import Table
from rich.text import Text

from services.ledger.views import JobView

console = Console()
errors = Console(stderr=True)

STATE_STYLES = {
    "done": "green",
    "done_partial": "yellow",
    "failed": "red",
    "in_doubt": "magenta",
    "cancelled": "dim",
    "skipped": "dim",
    "expired": "dim",
    "running": "cyan",
    "dispensing": "cyan",
}


def configure_logs() -> None:
    """Logs on standard error: coloured lines for a person, JSON for a program. `PITADA_LOG_LEVEL` sets how much."""
    level = logging.getLevelNamesMapping().get(os.environ.get("PITADA_LOG_LEVEL", "INFO").upper(), logging.INFO)
    person = sys.stderr.isatty()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="%H:%M:%S" if person else "iso", utc=not person),
            structlog.processors.format_exc_info,
            structlog.dev.ConsoleRenderer() if person else structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
    )


def print_json(data: object) -> None:
    """One line of JSON."""
    sys.stdout.write(json.dumps(data, separators=(",", ":"), default=_plain) + "\n")
    sys.stdout.flush()


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]], empty: str) -> None:
    """A table for a person; `empty` is the sentence said when there are no rows."""
    if not rows:
        console.print(empty)
        return
    table = Table(title=title, title_justify="left")
    for column in columns:
        # An id is there to be copied: never cut.
        table.add_column(
            column,
            justify="right" if column.endswith(" g") or column in ("flask", "#") else "left",
            no_wrap=column == "job",
            overflow="fold" if column == "job" else "ellipsis",
        )
    for row in rows:
        table.add_row(*(cell if isinstance(cell, Text) else str(cell) for cell in row))
    console.print(table)


def grams(amount_mg: int | None) -> str:
    """Milligrams as grams, with as many decimals as they need, at most three."""
    return "" if amount_mg is None else f"{amount_mg / 1000:,.3f}".rstrip("0").rstrip(".")


def moment(at_ms: int) -> str:
    """Unix milliseconds as local date and time."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def recipe_size(job: JobView) -> str:
    """The recipe that a job was made from, and how much of it: `Curry (version 2), 1.5 times`."""
    if job.recipe_scale_milli is None:
        size = f"{grams(sum(item.target_mg for item in job.items))} g"
    else:
        size = "once" if job.recipe_scale_milli == 1000 else f"{job.recipe_scale_milli / 1000:g} times"
    return f"{job.recipe} (version {job.recipe_version}), {size}"


def state(name: str) -> Text:
    """A state in its own colour; the word stays, for those who see none."""
    return Text(name.replace("_", " "), style=STATE_STYLES.get(name, ""))


def _plain(value: object) -> object:
    if isinstance(value, BaseModel):
        return value.model_dump()
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
