"""The type check against the ESP32's own stubs sees a name that the chip does not have."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The code that runs on the chip, its settings for mypy, and the stubs as scripts/stubs.sh brings them."""
    subprocess.run(["bash", "scripts/stubs.sh"], cwd=ROOT, check=True, timeout=100)
    for room in ("protocol", "firmware"):
        shutil.copytree(ROOT / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / ".tools" / "esp32-stubs", tmp_path / ".tools" / "esp32-stubs")
    return tmp_path


def check(copy: Path) -> list[str]:
    command = [sys.executable, "-m", "mypy", "--no-error-summary", "--config-file", "firmware/esp32.ini"]
    done = subprocess.run(command, cwd=copy, capture_output=True, text=True, timeout=100, check=False)
    assert not done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("module", "right", "wrong", "complaint"),
    [
        (
            "pca9685",
            "i2c.writeto_mem(",
            "i2c.write_to_mem(",
            '"I2C" has no attribute "write_to_mem"; maybe "writeto_mem"?',
        ),
        ("gates", "timer.PERIODIC", "timer.REPEATING", '"Timer" has no attribute "REPEATING"'),
    ],
)
def test_a_wrong_attribute_is_caught_and_nothing_else(
    copy: Path, module: str, right: str, wrong: str, complaint: str
) -> None:
    path = copy / "firmware" / "board" / f"{module}.py"
    source = path.read_text(encoding="utf-8")
    assert source.count(right) == 1
    path.write_text(source.replace(right, wrong), encoding="utf-8")
    assert check(copy) == [f"firmware/board/{module}.py:{line_of(right, source)}: error: {complaint}  [attr-defined]"]


def line_of(text: str, source: str) -> int:
    return source[: source.index(text)].count("\n") + 1
