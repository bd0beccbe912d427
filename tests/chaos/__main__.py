"""`make soak ARGS="--minutes 10 --json"`: everything is killed and everything breaks, then the ledger is checked.

With a NAME, a part of it alone. The exit code says whether the promises held. Every run has a seed, and the same seed
does the same things in the same order; the moments are real time.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from pitada.cli.output import configure_logs
from simulators.faults import PLANS
from tests.chaos import house_kills, ingest_kills, server_kills, site, soak

RUNS = ("ingest-kills", "server-kills", "house-kills")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is named, the soak when nothing is; 0 when all promises held."""
    parser = argparse.ArgumentParser(prog="soak", description=__doc__)
    parser.add_argument("runs", nargs="*", metavar="NAME", help=f"of {', '.join(RUNS)}; none: the soak")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=10, help="of the soak: how long things break")
    parser.add_argument("--dispensers", type=int, default=1_000, help="of the soak")
    parser.add_argument("--broker", choices=site.BROKERS, default="mosquitto", help="of the soak")
    parser.add_argument(
        "--database", choices=(*site.DATABASES, "both"), help="of the soak; both, or the broker's usual"
    )
    parser.add_argument("--plan", choices=PLANS, default="awful", help="of the soak: what befalls the dispensers")
    parser.add_argument("--orders-per-s", type=float, help="of the soak: one for each dispenser every 100 s")
    parser.add_argument("--json", action="store_true", help="print the whole figures, one JSON line a run")
    parser.add_argument("--messages", type=int, default=100_000, help="backlog of ingest-kills")
    parser.add_argument("--kills", type=int, help="50 of ingest, 10 of each server, 40 of the house")
    asked = parser.parse_args(arguments)
    if unknown := set(asked.runs) - set(RUNS):
        parser.error(f"there is no run {', '.join(sorted(unknown))}; there are {', '.join(RUNS)}")
    configure_logs()
    held = True
    for name in asked.runs or ["soak"]:
        for figures, good in _run(name, asked):
            held = held and good
            shown = figures if asked.json else {key: value for key, value in figures.items() if key not in _LONG}
            sys.stdout.write(json.dumps({"run": name, **shown, "held": good}) + "\n")
            sys.stdout.flush()
    return 0 if held else 1


# What only the whole figures show.
_LONG = ("back_s", "differences", "problems")


def _run(name: str, asked: argparse.Namespace) -> Iterable[tuple[dict[str, Any], bool]]:
    """Figures of one run after the other, and whether it held."""
    if name == "soak":
        return (_soak(kind, asked) for kind in _databases(asked))
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


def _databases(asked: argparse.Namespace) -> Sequence[str]:
    if asked.database is None:
        return ("sqlite",) if asked.broker == "embedded" else site.DATABASES
    return site.DATABASES if asked.database == "both" else (asked.database,)


def _soak(kind: str, asked: argparse.Namespace) -> tuple[dict[str, Any], bool]:
    wanted = soak.Wanted(
        broker=asked.broker,
        database=kind,
        minutes=asked.minutes,
        dispensers=asked.dispensers,
        seed=asked.seed,
        plan=asked.plan,
        orders_per_s=asked.orders_per_s,
    )
    figures = asyncio.run(soak.run(wanted))
    return figures, figures["held"]


if __name__ == "__main__":
    sys.exit(main())
