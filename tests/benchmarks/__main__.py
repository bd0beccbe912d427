"""`make bench`: each benchmark prints its figures as one JSON line. `make bench ARGS="NAME --option"` runs one.

Each figure compares two things in one run, on this machine; absolute times of another machine mean little.
"""

import importlib
import sys
from pathlib import Path

BENCHMARKS = sorted(
    path.stem.removeprefix("bench_").replace("_", "-") for path in Path(__file__).parent.glob("bench_*.py")
)

# What needs a large package that nothing else needs; scripts/servers.sh installs it when it is asked for by name.
ON_REQUEST = {"peers"}


def main(arguments: list[str]) -> None:
    names = [name for name in BENCHMARKS if name not in ON_REQUEST]
    options = [one for one in arguments if one != "--json"]
    if options and not options[0].startswith("-"):
        names, options = [options[0]], options[1:]
    unknown = set(names) - set(BENCHMARKS)
    if unknown:
        sys.exit(f"There is no benchmark {', '.join(unknown)}. There are: {', '.join(BENCHMARKS)}.")
    for name in names:
        sys.stderr.write(f"{name}\n")
        importlib.import_module(f"tests.benchmarks.bench_{name.replace('-', '_')}").main(options)


if __name__ == "__main__":
    main(sys.argv[1:])
