"""The page of the fleet names every option of the command, and every fault that can be asked for."""

import re
from pathlib import Path

from pitada.cli.fleet import FAULTS
from simulators.faults import PLANS
from tests.pitada.cli.conftest import Run

PAGE = Path(__file__).resolve().parents[2] / "docs" / "fleet.md"


def test_every_option_plan_and_fault_is_on_the_page(pitada: Run) -> None:
    page = PAGE.read_text(encoding="utf-8")
    options = set(re.findall(r"--[a-z-]+", pitada("fleet", "--help").stdout)) - {"--help"}
    assert len(options) > 15
    # In backquotes, with what follows it, or alone.
    missing = [option for option in options if not re.search(rf"`{option}[ `]", page)]
    assert missing == []
    assert all(f"`{name}`" in page for name in (*PLANS, *FAULTS))
