"""`make bench`: runs the benchmarks and prints their figures, one JSON line each. `make bench ARGS="NAME"` runs one.

Each figure compares two things in one run, on this machine; absolute times of another machine mean little.
"""

import argparse
import importlib
import json
import platform
import sys
from pathlib import Path

BENCHMARKS = sorted(path.stem.removeprefix("bench_") for path in Path(__file__).parent.glob("bench_*.py"))


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("name", nargs="?", choices=BENCHMARKS, help="default: all")
    parser.add_argument("--json", action="store_true", help="only the JSON lines")
    chosen, rest = parser.parse_known_args()
    if not chosen.json:
        sys.stdout.write(f"{platform.machine()}, Python {platform.python_version()}, {platform.system()}\n")
    for name in [chosen.name] if chosen.name else BENCHMARKS:
        figures = importlib.import_module(f"tests.benchmarks.bench_{name}").main(rest)
        sys.stdout.write(json.dumps({"benchmark": name, **figures}) + "\n")


if __name__ == "__main__":
    main()
