"""`make soak ARGS="NAME --json"`: the long versions of the chaos tests. The exit code says whether the promises held.

Every run has a seed, and the same seed does the same things in the same order; the moments are real time.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from typing import Any

from pitada.cli.output import configure_logs
from tests.chaos import house_kills, ingest_kills, server_kills

RUNS = ("ingest-kills", "server-kills", "house-kills")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is asked for, every run when nothing is; 0 when all promises held."""
    parser = argparse.ArgumentParser(prog="soak", description=__doc__)
    parser.add_argument("runs", nargs="*", metavar="NAME", help=f"of {', '.join(RUNS)}; all when none is named")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print the whole figures, one JSON line a run")
    parser.add_argument("--messages", type=int, default=100_000, help="backlog of ingest-kills")
    parser.add_argument("--kills", type=int, help="50 of ingest, 10 of each server, 40 of the house")
    asked = parser.parse_args(arguments)
    if unknown := set(asked.runs) - set(RUNS):
        parser.error(f"there is no run {', '.join(sorted(unknown))}; there are {', '.join(RUNS)}")
    configure_logs()
    held = True
    for name in asked.runs or RUNS:
        for figures, good in _run(name, asked):
            held = held and good
            shown = figures if asked.json else {key: value for key, value in figures.items() if key not in _LONG}
            sys.stdout.write(json.dumps({"run": name, "held": good, **shown}) + "\n")
            sys.stdout.flush()
    return 0 if held else 1


# What only the whole figures show.
_LONG = ("back_s", "differences", "problems")


def _run(name: str, asked: argparse.Namespace) -> list[tuple[dict[str, Any], bool]]:
    if name == "ingest-kills":
        drains = [
            asyncio.run(ingest_kills.run(kind, asked.seed, asked.messages, asked.kills or 50))
            for kind in ("postgresql", "sqlite")
        ]
        return [(vars(one), not one.differences and not one.problems) for one in drains]
    if name == "server-kills":
        kills = [
            asyncio.run(server_kills.run(target, asked.seed, asked.kills or 10)) for target in server_kills.TARGETS
        ]
        return [
            (
                vars(one),
                not (one.differences or one.problems or one.receipted_lost)
                and one.slowest_back_s <= server_kills.BACK_WITHIN_S,
            )
            for one in kills
        ]
    house = asyncio.run(house_kills.run(asked.seed, asked.kills or 40))
    return [(vars(house), not (house.problems or house.divergences or house.double_dispenses))]


if __name__ == "__main__":
    sys.exit(main())
