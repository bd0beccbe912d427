"""How a run's summary is shown: by `pitada demo` and `pitada fleet`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from pitada.cli.output import console, print_json, print_table

if TYPE_CHECKING:
    from pitada.demo.summary import Summary


def show_summary(title: str, summary: Summary, as_json: bool) -> None:
    """The counts, and what is wrong in red."""
    if as_json:
        print_json(summary)
        return
    rows = [(name.replace("_", " "), _words(value)) for name, value in asdict(summary).items() if name != "problems"]
    print_table(title, ("", ""), rows, "")
    for problem in summary.problems:
        console.print(problem, style="red")


def _words(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{count} {state.replace('_', ' ')}" for state, count in value.items())
    return str(value)
