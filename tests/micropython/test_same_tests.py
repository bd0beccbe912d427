"""The tests of the wire and of the dispenser's core pass in MicroPython as they do in CPython: the same files."""

import ast
from pathlib import Path

import pytest

from tests.micropython import image
from tests.micropython.vm import Vm

# What asks about the source itself, or measures the objects of CPython.
CPYTHON_ONLY = ("test_esp32_types.py", "test_message_tables.py", "test_dispenser_size.py")
FILES = sorted(
    path
    for path in [*image.ROOT.glob("tests/firmware/test_*.py"), *image.ROOT.glob("tests/protocol/test_*.py")]
    if path.name not in CPYTHON_ONLY
)
SHARED = (
    "tests/firmware/garbage.py",
    "tests/power_cuts/shapes.py",
    "tests/firmware/bench.py",
    "tests/firmware/broker.py",
    "tests/firmware/conftest.py",
    "tests/protocol/wire_values.py",
    "tests/power_cuts/shapes.py",
)


@pytest.fixture(scope="session")
def test_image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The firmware, the tests for both Pythons and what runs them."""
    files = [str(path.relative_to(image.ROOT)) for path in FILES]
    directory = tmp_path_factory.mktemp("tests")
    return image.build(directory, image.INSIDE, image.STAND_INS, *image.FIRMWARE, *SHARED, *files)


def functions_of(path: Path) -> list[tuple[str, list[str]]]:
    """Each test function with the names of its arguments."""
    functions = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)]
    return [(one.name, [a.arg for a in one.args.args]) for one in functions if one.name.startswith("test_")]


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
async def test_the_tests_pass_in_micropython(test_image: Path, tmp_path: Path, path: Path) -> None:
    tests = functions_of(path)
    module = ".".join(path.relative_to(image.ROOT).with_suffix("").parts)
    fixtures = "tests.firmware.conftest" if path.parent.name == "firmware" else ""
    async with Vm(test_image, tmp_path, "tests.micropython.inside.runner:run", module, tests, fixtures) as vm:
        assert await vm.ended() == 0, "\n".join(vm.lines[-30:])
    assert not [line for line in vm.lines if line.startswith("out failed")], "\n".join(vm.lines)
    assert [line.split()[2] for line in vm.lines if line.startswith("out passed")] == [name for name, _args in tests]
