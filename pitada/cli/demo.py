"""`pitada demo`."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from pitada.cli.options import AsJson
from pitada.cli.output import configure_logs, errors
from pitada.cli.summary import show_summary
from pitada.cli.up import stop_on_signal
from pitada.demo.options import BrokerKind, DatabaseKind, DemoOptions

if TYPE_CHECKING:
    from pitada.demo.summary import Summary

# The usual address is kept free for a real house.
HTTP_PORT = 0


def demo(
    jobs: Annotated[int | None, typer.Option(min=5, help="Order so many jobs; default: go on until Ctrl-C.")] = None,
    seed: Annotated[int, typer.Option(help="The same seed orders the same and breaks the same.")] = 1,
    broker: Annotated[BrokerKind, typer.Option(help="The broker to run against.")] = "embedded",
    database: Annotated[DatabaseKind, typer.Option(help="The database to run against.")] = "sqlite",
    http_port: Annotated[int, typer.Option(help="Port of the dashboard; 0: any free one.")] = HTTP_PORT,
    exit_when_done: Annotated[bool, typer.Option("--exit", help="End when the jobs have ended.")] = False,
    as_json: AsJson = False,
) -> None:
    """Run everything with three simulated dispensers whose Wi-Fi drops and whose power fails; print one link."""
    configure_logs()
    if exit_when_done and jobs is None:
        raise typer.BadParameter("--exit needs --jobs: without it the demo has no end")
    options = DemoOptions(jobs, seed, broker, database, http_port)
    summary = asyncio.run(_demo(options, exit_when_done))
    if summary is not None:
        show_summary("The demo", summary, as_json)
        if not summary.clean:
            raise typer.Exit(1)


async def _demo(options: DemoOptions, exit_when_done: bool) -> Summary | None:
    """None when it was stopped before its jobs ended."""
    from pitada.demo.run import demo_house

    stop = stop_on_signal()
    async with demo_house(options) as running:
        url = await asyncio.to_thread(running.house.sign_in_url)
        errors.print(f"\n  Open [bold cyan]{url}[/]  (works once). Stop with Ctrl-C.\n", soft_wrap=True)
        with _progress(options.jobs) as on_change:
            ordering = asyncio.create_task(running.order(options.jobs, options.seed, on_change))
            stopped = asyncio.create_task(stop.wait())
            try:
                await asyncio.wait((ordering, stopped), return_when=asyncio.FIRST_COMPLETED)
                if not ordering.done():
                    return None
                if not exit_when_done:
                    await stopped
                return ordering.result()
            finally:
                ordering.cancel()
                stopped.cancel()


@contextlib.contextmanager
def _progress(jobs: int | None) -> Iterator[Callable[[int, int], None]]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=errors, disable=not errors.is_terminal or jobs is None) as bar:
        line = bar.add_task("Jobs ended", total=jobs)
        yield lambda _ordered, ended: bar.update(line, completed=max(ended, 0))
