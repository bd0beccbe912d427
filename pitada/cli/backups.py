"""`pitada backup` and `pitada restore`."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from pitada.cli.options import AsJson, DatabaseUrl, DataDir, settings_from
from pitada.cli.output import console, errors, print_json
from services.ledger import backups

File = Annotated[Path, typer.Argument(metavar="FILE", help="The backup.")]


def backup(
    file: File,
    yes: Annotated[bool, typer.Option("--yes", help="Replace FILE if it is there.")] = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Copy the ledger as it is now into FILE, while everything runs. It holds password hashes: keep it safe."""
    url = settings_from(data_dir=data_dir, database_url=database_url).ledger_url
    with _progress("Copying") as on_progress:
        made = backups.backup(url, file, overwrite=yes, on_progress=on_progress)
    if as_json:
        print_json(made)
        return
    console.print(f"Backed up the ledger to {made.file}: {made.size_bytes:,} bytes.", soft_wrap=True, highlight=False)


def restore(
    file: File,
    yes: Annotated[bool, typer.Option("--yes", help="Replace the ledger that is there.")] = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Put the ledger back to FILE and audit it. Stop `pitada up` first. Exit code 1 when the audit finds something."""
    url = settings_from(data_dir=data_dir, database_url=database_url).ledger_url
    with _progress("Restoring") as on_progress:
        taken, found = backups.restore(url, file, overwrite=yes, on_progress=on_progress)
    if as_json:
        print_json({"backup": taken, "audit": found})
    else:
        console.print(
            f"Restored the ledger from {taken.file}: {found.movements} movements of {found.flasks} flasks, "
            f"{found.divergences} divergences. Start the services: what the backup does not know comes back from the "
            "dispensers.",
            soft_wrap=True,
            highlight=False,
        )
        for problem in found.problems:
            console.print(f"  {problem}", style="red")
    if found.divergences:
        raise typer.Exit(1)


@contextlib.contextmanager
def _progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on a terminal; a total of 0 is one that nobody knows."""
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=errors, disable=not errors.is_terminal, transient=True) as bar:
        line = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(line, completed=done, total=total or None)
