"""`make power-cuts ARGS="--json"`: every cut, every torn write, double cuts, bit flips; and what the flash wears.

The exit code says whether the promise held: no item opened twice, nothing forgotten, every boot ended its job.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from tests.micropython import image
from tests.micropython import power_cuts as vm
from tests.power_cuts import blocks
from tests.power_cuts.search import Effort, search
from tests.power_cuts.shapes import SHAPES, Figures

# A hundred days at 200 jobs a day: by then the wear levelling has gone round.
_WEAR_JOBS = 20_000


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="power-cuts", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print only the one JSON line")
    parser.add_argument("--sizes", type=int, nargs="*", help="only jobs of so many items; 1 to 16 when not given")
    parser.add_argument("--wear-jobs", type=int, default=_WEAR_JOBS, help="jobs to run on the littlefs chip")
    parser.add_argument("--no-vm", action="store_true", help="without the MicroPython VM, which takes minutes")
    asked = parser.parse_args(arguments)
    started_s = time.monotonic()
    figures = Figures()
    for shape in SHAPES:
        if not asked.sizes or len(shape) in asked.sizes:
            figures.add(search(shape, Effort()))
            if not asked.json:
                sys.stderr.write(f"{len(shape):2} items: {figures.cuts:,} cuts so far\n")
    in_vm = Figures()
    if not asked.no_vm:
        with tempfile.TemporaryDirectory() as place:
            built = image.build(Path(place) / "image", image.INSIDE, *image.FIRMWARE)
            in_vm = asyncio.run(vm.run(Path(place), built))
    file_cuts, wrong = blocks.cut_everywhere([one for items in (16, 4, 1) * 2 for one in blocks.writes_of_job(items)])
    held = figures.held and in_vm.held and not wrong
    result = {
        **figures.values(),
        "vm": in_vm.values(),
        "littlefs_cuts": file_cuts,
        "littlefs_wrong": len(wrong),
        "wear": asdict(blocks.wear(asked.wear_jobs)),
        "held": held,
        "seconds": round(time.monotonic() - started_s),
    }
    sys.stdout.write(json.dumps(result) + "\n")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
