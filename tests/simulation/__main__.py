"""`make simulate ARGS="--seeds 20000 --json"`: the product in a seeded world. Exits with 1 when a promise broke.

`--seed N` replays one seed and prints its trace, `--only 0,3` with those of its actions alone.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.simulation import hunt
from tests.simulation.plan import Plan, draw, dump, load
from tests.simulation.runs import Outcome, add, run, run_everywhere, shrink

# Failing seeds that are looked into; the others are only named.
_SHRUNK = 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is asked for; 0 when nothing was wrong."""
    parser = argparse.ArgumentParser(prog="simulate", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000, help="how many")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--processes", type=int, help="one for each core when not given")
    parser.add_argument("--json", action="store_true", help="print one JSON line")
    parser.add_argument("--seed", type=int, help="replay this one and print its trace")
    parser.add_argument("--plan", help="replay a plan from a file")
    parser.add_argument("--only", help="positions of the actions to keep, with commas")
    parser.add_argument("--bug", help="with this seeded bug")
    parser.add_argument("--bugs", action="store_true", help="hunt every seeded bug, and write the table in the docs")
    asked = parser.parse_args(arguments)
    if asked.bugs:
        return hunt.main()
    if asked.seed is not None or asked.plan is not None:
        return _replay(asked)
    began_s = time.monotonic()
    processes = asked.processes or os.cpu_count() or 1
    total = add(run_everywhere(range(asked.first, asked.first + asked.seeds), processes))
    _report(total, time.monotonic() - began_s, processes, asked.json)
    return 1 if total.failed else 0


def _report(total: Outcome, wall_s: float, processes: int, as_json: bool) -> None:
    figures = {
        "schedules": total.schedules,
        "per_second": round(total.schedules / wall_s, 1),
        "processes": processes,
        "per_cpu_second": round(total.schedules / total.cpu_s, 1),
        "virtual_hours": round(total.virtual_s / 3600, 1),
        "divergences": len(total.failed),
        "faults": dict(sorted(total.faults.items())),
        "failed": sorted(total.failed),
    }
    if as_json:
        _say(json.dumps(figures))
    else:
        for name, value in figures.items():
            _say(f"{name:<16}{value}")
    for seed in sorted(total.failed)[:_SHRUNK]:
        _look_into(seed, total.failed[seed])


def _look_into(seed: int, wrong: list[str]) -> None:
    whole = draw(seed)
    least = shrink(whole, lambda smaller: bool(run(smaller).wrong))
    kept = [str(number) for number, action in enumerate(whole.actions) if action in least.actions]
    _say(f"\nseed {seed}: {wrong[0]}")
    _say(f'replay the shortest: make simulate ARGS="--seed {seed} --only {",".join(kept)}"')
    _say("or keep it as a file in tests/simulation/kept/: " + dump(least))


def _replay(asked: argparse.Namespace) -> int:
    drawn: Plan = load(Path(asked.plan).read_text()) if asked.plan is not None else draw(asked.seed)
    if asked.only is not None:
        kept = {int(number) for number in asked.only.split(",") if number}
        drawn = drawn.only(kept.__contains__)
    world = run(drawn, asked.bug)
    for action in drawn.actions:
        _say(str(action))
    for line in world.trace.lines():
        _say(line)
    for one in world.wrong:
        _say(f"WRONG {one}")
    return 1 if world.wrong else 0


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
