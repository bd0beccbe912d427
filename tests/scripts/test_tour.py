"""The tour names files; they are there."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_every_file_that_the_tour_and_the_readme_name_exists() -> None:
    named = set()
    for page in (ROOT / "docs" / "tour.md", ROOT / "README.md"):
        text = page.read_text(encoding="utf-8")
        named |= set(re.findall(r"`((?:[a-z_]+/)+[a-z_]*(?:\.[a-z]+)?)`", text))
        named |= set(re.findall(r"\]\(([a-z/_.-]+)\)", text)) if page.name == "README.md" else set()
    assert len(named) > 30
    assert {name for name in named if not (ROOT / name).exists()} == set()
