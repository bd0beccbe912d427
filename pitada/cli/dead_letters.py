"""`pitada dead-letters`: list, show, replay, drop. Alone it lists."""

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from pitada.cli.options import AsJson, DatabaseUrl, DataDir, Limit, open_ledger
from pitada.cli.output import console, moment, print_json, print_table
from services.clock import now_ms
from services.ledger import queries, replay
from services.ledger.dead_letters import REASONS
from services.ledger.replay import Replayed


class ListsByDefault(TyperGroup):
    """`pitada dead-letters --json` is `pitada dead-letters list --json`."""

    # The context's class is typer's own copy of click, which has no public name.
    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        named = bool(args) and (not args[0].startswith("-") or args[0] == "--help")
        return super().parse_args(ctx, args if named else ["list", *args])


app = typer.Typer(cls=ListsByDefault, help="Messages that changed nothing, and why: list, show, replay, drop.")

Letter = Annotated[int, typer.Argument(metavar="NUMBER", help="Its number in the list.")]


@app.command("list")
def show_all(
    limit: Limit = 50, as_json: AsJson = False, data_dir: DataDir = None, database_url: DatabaseUrl = None
) -> None:
    """List the messages that changed nothing, and why."""
    with open_ledger(data_dir, database_url).read() as tx:
        found = queries.dead_letters(tx, limit=limit)
    if as_json:
        print_json(found)
        return
    rows = [(one.id, moment(one.at_ms), one.topic, one.reason, one.payload[:60]) for one in found]
    print_table("Dead letters", ("#", "first seen", "topic", "reason", "payload"), rows, "No dead letters.")


@app.command()
def show(letter: Letter, as_json: AsJson = False, data_dir: DataDir = None, database_url: DatabaseUrl = None) -> None:
    """Show one dead letter, whole."""
    with open_ledger(data_dir, database_url).read() as tx:
        found = queries.dead_letter(tx, letter)
    if found is None:
        raise replay.unknown(letter)
    if as_json:
        print_json(found)
        return
    console.print(f"Dead letter [bold]{found.id}[/]: {found.reason}. {REASONS.get(found.reason, '')}", soft_wrap=True)
    kept = "" if len(found.payload.encode()) >= found.size_bytes else ", of which a part was kept"
    console.print(
        f"Came {found.times} times, first {moment(found.at_ms)}, last {moment(found.last_at_ms)}; "
        f"{found.size_bytes} bytes{kept}.",
        soft_wrap=True,
    )
    for text in (found.detail, found.topic, found.payload):
        console.print(text, markup=False, highlight=False, soft_wrap=True)


@app.command("replay")
def settle_again(
    letter: Letter, as_json: AsJson = False, data_dir: DataDir = None, database_url: DatabaseUrl = None
) -> None:
    """Settle a message again: useful when what kept it out is gone, such as a dispenser that was not claimed."""
    with open_ledger(data_dir, database_url).write() as tx:
        came_of_it = replay.replay(tx, letter, now_ms())
    if as_json:
        print_json({"id": letter, "settled": came_of_it.reason is None, **_plain(came_of_it)})
    else:
        console.print(_sentence(letter, came_of_it), markup=False, highlight=False, soft_wrap=True)
    if came_of_it.reason is not None:
        raise typer.Exit(1)


@app.command()
def drop(
    letter: Letter,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Forget a dead letter. It asks first."""
    if not yes:
        typer.confirm(f"Forget dead letter {letter} for good?", abort=True, err=True)
    with open_ledger(data_dir, database_url).write() as tx:
        replay.drop(tx, letter)
    if as_json:
        print_json({"id": letter, "dropped": True})
    else:
        console.print(f"Dropped dead letter {letter}.")


def _plain(came_of_it: Replayed) -> dict[str, object]:
    flasks = [{"device": device, "flask": flask} for device, flask in came_of_it.flasks]
    return {
        "reason": came_of_it.reason,
        "detail": came_of_it.detail,
        "changed_jobs": came_of_it.changed_jobs,
        "flasks": flasks,
    }


def _sentence(letter: int, came_of_it: Replayed) -> str:
    if came_of_it.reason is not None:
        return f"Dead letter {letter} still changes nothing ({came_of_it.reason}): {came_of_it.detail}. It is kept."
    if not came_of_it.changed_jobs:
        return f"Dead letter {letter} settled: the ledger knew all of it already. The letter is gone."
    jobs = ", ".join(came_of_it.changed_jobs)
    flasks = ", ".join(f"flask {flask} of {device}" for device, flask in came_of_it.flasks) or "none"
    return f"Dead letter {letter} settled: it changed job {jobs}; stock that moved: {flasks}. The letter is gone."
