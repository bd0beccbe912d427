"""How a fleet looks while it runs, and what is said at its end."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from rich.live import Live
from rich.table import Table
from rich.text import Text

from pitada.cli.output import console, errors, print_json, print_table

if TYPE_CHECKING:
    from pitada.fleet.figures import Figures, Spread


@contextlib.contextmanager
def screen() -> Iterator[Callable[[Figures], None]]:
    """A table that is drawn anew, on a terminal; nothing elsewhere."""
    if not errors.is_terminal:
        yield lambda _figures: None
        return
    with Live(console=errors, auto_refresh=False, transient=True) as live:
        yield lambda figures: live.update(drawn(figures), refresh=True)


def drawn(figures: Figures) -> Table:
    """The figures for a person."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    all_there = figures.connected == figures.dispensers
    connected = Text(f"{figures.connected:,} of {figures.dispensers:,}", "green" if all_there else "yellow")
    table.add_row("Connected", connected)
    connects = f"{figures.connects_per_s:,} a second, at most {figures.connects_peak_per_s:,}"
    table.add_row("CONNECTs", f"{connects}; reconnects {figures.reconnects:,}")
    in_hand = f"{figures.placed - figures.ended:,} open"
    refused = f", {figures.refused:,} refused" if figures.refused else ""
    jobs = f"{figures.placed:,} placed, {figures.ended:,} ended, {in_hand}{refused}; {figures.jobs_per_s} a second"
    table.add_row("Jobs", jobs)
    table.add_row("Order to end", _times(figures.settle))
    table.add_row("Report to receipt", _times(figures.receipt))
    faults = ", ".join(f"{kind.replace('_', ' ')} {count:,}" for kind, count in sorted(figures.faults.items()))
    table.add_row("Faults", faults or "none")
    table.add_row("Divergences", Text(f"{figures.divergences:,}", "red" if figures.divergences else "green"))
    table.add_row("", Text("Ctrl-C ends it, with a summary.", "dim"))
    return table


def show_result(result: dict[str, Any], as_json: bool) -> None:
    """The figures at the end and the judgement; what is wrong in red."""
    if as_json:
        print_json(result)
        return
    rows = [(name.replace("_", " "), _words(value)) for name, value in result.items() if name != "problems"]
    print_table("The fleet", ("", ""), rows, "")
    for problem in result["problems"]:
        console.print(problem, style="red")


def _times(times: Spread) -> str:
    if times.p50_ms is None:
        return "none yet"
    named = (("half", times.p50_ms), ("90 %", times.p90_ms), ("99 %", times.p99_ms), ("slowest", times.slowest_ms))
    return ", ".join(f"{name} {_seconds(ms)}" for name, ms in named if ms is not None)


def _seconds(ms: int) -> str:
    return f"{ms} ms" if ms < 1000 else f"{ms / 1000:.1f} s"


def _words(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in value.items() if count is not None)
    return str(value)
