"""The generated documents say what the tables say."""

import importlib.util
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate_docs", ROOT / "scripts" / "generate_docs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_committed_pages_are_current() -> None:
    generate_docs = load()
    for page in (ROOT / "docs").rglob("*.md"):
        text = page.read_text(encoding="utf-8")
        assert generate_docs.render(text) == text, f"{page.name} is out of date: run `make docs`"


def test_the_protocol_page_holds_every_block() -> None:
    page = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")
    blocks = load().BLOCKS
    assert {match["name"] for match in load().BLOCK.finditer(page)} == {name for name in blocks if name in page}
    for name in blocks:
        assert f"<!-- generated: {name} -->" in page, name


def test_a_changed_block_is_noticed() -> None:
    generate_docs = load()
    assert generate_docs.render("<!-- generated: limits -->\nold\n<!-- end -->") != (
        "<!-- generated: limits -->\nold\n<!-- end -->"
    )
