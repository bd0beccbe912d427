"""Hunts every seeded bug, and writes what caught it into the docs."""

import re
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

from tests.simulation.bugs import BUGS, WITHIN
from tests.simulation.plan import draw
from tests.simulation.runs import run, run_seeds

DOCS = Path(__file__).resolve().parents[2] / "docs" / "simulation.md"
_TABLE = re.compile(r"(<!-- written: bugs -->\n).*?(<!-- end -->)", re.DOTALL)

# What a checker says, up to the names and numbers of that one run.
_SPECIFIC = re.compile(r"\b(job|retry)-[0-9-]+|\bdisp-[0-9]|[0-9]+ mg|\{.*\}")


class Catch(NamedTuple):
    """A bug and the first schedule, from 1, in which a checker saw it; None: none of `WITHIN` did."""

    bug: str
    schedule: int | None
    said: str


def hunt(bug: str) -> Catch:
    """Run seed after seed with the bug until a checker sees it; what is seen without the bug too is not that."""
    first = 0
    while first < WITHIN:
        outcome = run_seeds(range(first, WITHIN), bug, stop=True)
        first += outcome.schedules
        for seed, wrong in outcome.failed.items():
            if not run(draw(seed)).wrong:
                return Catch(bug, first, wrong[0])
    return Catch(bug, None, "")


def hunt_again(bug: str) -> Catch:
    """Where the table says that it was seen; and everywhere when it is not seen there any more."""
    schedule = _told().get((BUGS[bug].where, BUGS[bug].what))
    if schedule is not None:
        outcome = run_seeds(range(schedule - 1, schedule), bug)
        for seed, wrong in outcome.failed.items():
            if run(draw(seed)).wrong:
                break
            return Catch(bug, schedule, wrong[0])
    return hunt(bug)


def hunt_all() -> Iterator[Catch]:
    """Every bug, on every core."""
    with ProcessPoolExecutor() as pool:
        yield from pool.map(hunt, BUGS)


def _told() -> dict[tuple[str, str], int]:
    """What the table in the docs says: (where, what) to the schedule."""
    rows = [line.split(" | ") for line in DOCS.read_text().splitlines() if line.startswith("| ")]
    return {(row[0].removeprefix("| "), row[1]): int(row[2]) for row in rows if len(row) == 4 and row[2].isdigit()}


def main() -> int:
    """Hunt, say what was caught, and write the table."""
    caught = []
    for catch in hunt_all():
        caught.append(catch)
        sys.stdout.write(f"{catch.bug:<28}{catch.schedule or 'NOT CAUGHT':<12}{catch.said[:100]}\n")
        sys.stdout.flush()
    rows = "".join([_row(catch) for catch in caught if catch.schedule is not None])
    head = "| where | the defect | schedules until it was seen | what was seen |\n| --- | --- | --- | --- |\n"
    text = DOCS.read_text()
    DOCS.write_text(_TABLE.sub(lambda found: found[1] + "\n" + head + rows + "\n" + found[2], text))
    return 0 if all(catch.schedule is not None for catch in caught) else 1


def _row(catch: Catch) -> str:
    said = _SPECIFIC.sub("…", catch.said).replace("|", "/")
    return f"| {BUGS[catch.bug].where} | {BUGS[catch.bug].what} | {catch.schedule} | {said} |\n"
