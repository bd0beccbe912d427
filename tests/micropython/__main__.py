"""`make vm ARGS="NAME --json"`: the long runs of the firmware in the VM. The exit code says whether all held."""

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pitada.cli.output import configure_logs
from tests.micropython import boots, cuts, garbage, heap, image, latency, outages

RUNS = ("outages", "boots", "heap", "latency", "cuts", "garbage")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is asked for, every run when nothing is."""
    parser = argparse.ArgumentParser(prog="vm", description=__doc__)
    parser.add_argument("runs", nargs="*", metavar="NAME", help=f"of {', '.join(RUNS)}; all when none is named")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="one JSON line a run, with everything")
    parser.add_argument("--pulls", type=int, default=20, help="times Wi-Fi goes away in outages")
    parser.add_argument("--kills", type=int, default=5, help="times the broker is killed in outages")
    parser.add_argument("--jobs", type=int, default=200, help="jobs of heap")
    parser.add_argument("--tries", type=int, default=20, help="boots, and openings of latency under each trouble")
    parser.add_argument("--every", type=int, default=1, help="cuts at every n-th flash operation only")
    parser.add_argument("--packets", type=int, default=1_000_000, help="packets of garbage")
    asked = parser.parse_args(arguments)
    if unknown := set(asked.runs) - set(RUNS):
        parser.error(f"there is no run {', '.join(sorted(unknown))}; there are {', '.join(RUNS)}")
    configure_logs()
    held = True
    for name in asked.runs or RUNS:
        with tempfile.TemporaryDirectory() as place:
            directory = Path(place)
            directory.chmod(0o755)  # Mosquitto, started by root, becomes another user
            built = image.build(directory / "image", image.INSIDE, *image.FIRMWARE)
            figures, good = asyncio.run(_run(name, asked, directory, built))
        held = held and good
        shown = figures if asked.json else {key: value for key, value in figures.items() if key not in _LONG}
        sys.stdout.write(json.dumps({"run": name, "held": good, **shown}) + "\n")
        sys.stdout.flush()
    return 0 if held else 1


# What only the whole figures show.
_LONG = ("problems", "late_ms", "stop_ms", "live_bytes")


async def _run(name: str, asked: argparse.Namespace, directory: Path, built: Path) -> tuple[dict[str, Any], bool]:
    """The figures, and whether all is as promised."""
    place = directory / name
    if name == "outages":
        ran = await outages.run(place, built, asked.pulls, asked.kills, asked.seed)
        return asdict(ran), not ran.problems and ran.jobs_done == ran.jobs
    if name == "boots":
        booted = await boots.run(place, built, asked.tries)
        return asdict(booted), not booted.problems and max(booted.resumed_s) < boots.WITHIN_S
    if name == "heap":
        used = await heap.run(place, asked.jobs, max(1, asked.jobs // 4))
        live = list(used.live_bytes.values())
        most = max(used.live_after_16_items_bytes, *live)
        return asdict(used), not used.problems and most <= heap.MOST_BYTES and live[-1] - live[0] < heap.NOISE_BYTES
    if name == "latency":
        late = await latency.run(place, built, asked.tries)
        latest_ms = {trouble: max(all_ms) for trouble, all_ms in late.late_ms.items()}
        slowest = {"latest_ms": latest_ms, "slowest_stop_ms": max(late.stop_ms)}
        return {**slowest, **asdict(late)}, late.held and not late.problems
    if name == "cuts":
        cut = await cuts.run(place, built, list(range(1, 17)), asked.seed, asked.every)
        return asdict(cut), cut.held
    poured = await garbage.run(place, asked.packets, asked.seed)
    good = not (poured.problems or poured.openings) and poured.growth_bytes < garbage.NOISE_BYTES
    return {"growth_bytes": poured.growth_bytes, **asdict(poured)}, good


if __name__ == "__main__":
    sys.exit(main())
