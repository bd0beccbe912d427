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
from tests.micropython import image, outages

RUNS = ("outages",)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is asked for, every run when nothing is."""
    parser = argparse.ArgumentParser(prog="vm", description=__doc__)
    parser.add_argument("runs", nargs="*", metavar="NAME", help=f"of {', '.join(RUNS)}; all when none is named")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="one JSON line a run, with everything")
    parser.add_argument("--pulls", type=int, default=20, help="times Wi-Fi goes away in outages")
    parser.add_argument("--kills", type=int, default=5, help="times the broker is killed in outages")
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
        shown = figures if asked.json else {key: value for key, value in figures.items() if key != "problems"}
        sys.stdout.write(json.dumps({"run": name, "held": good, **shown}) + "\n")
        sys.stdout.flush()
    return 0 if held else 1


async def _run(name: str, asked: argparse.Namespace, directory: Path, built: Path) -> tuple[dict[str, Any], bool]:
    found = await outages.run(directory / name, built, asked.pulls, asked.kills, asked.seed)
    return asdict(found), not found.problems and found.jobs_done == found.jobs


if __name__ == "__main__":
    sys.exit(main())
