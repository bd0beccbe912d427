"""A seed is the same world on the oldest and the newest Python that Pitada runs on."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.programs import absent
from tests.simulation.plan import draw
from tests.simulation.runs import run

ROOT = Path(__file__).resolve().parents[2]

SEEDS = range(100, 130)

TELL = "from tests.simulation.test_pythons import traces; print(*traces(), sep='\\n')"


def traces() -> list[str]:
    """A digest of each seed's trace."""
    return [hashlib.sha256(run(draw(seed)).trace.dump()).hexdigest() for seed in SEEDS]


def installed(version: str) -> str:
    """A Python of that version that is here, as pyenv keeps it too; else the version, for uv to find or fetch."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    return str(next(iter(sorted(pyenv.glob(f"{version}.*/bin/python"))), version))


@pytest.mark.timeout(300)
def test_two_pythons_write_the_same_traces() -> None:
    other = "3.11" if sys.version_info >= (3, 13) else "3.13"
    place = ROOT / ".tools" / f"python{other}"
    made = subprocess.run(
        ["bash", ROOT / "scripts" / "setup.sh", "--python", installed(other)],
        env={**os.environ, "UV_PROJECT_ENVIRONMENT": str(place)},
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        absent(f"there is no Python {other} for it: {made.stderr.strip()}")
    python = place / "bin" / "python"
    told = subprocess.run([python, "-c", TELL], cwd=ROOT, capture_output=True, text=True, check=True)
    assert told.stdout.split() == traces()
