"""The generated documents say what the tables say."""

import importlib.util
from pathlib import Path
from types import ModuleType

from services.settings import Settings

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


def test_every_block_is_on_one_page() -> None:
    generate_docs = load()
    found = [
        match["name"]
        for page in (ROOT / "docs").rglob("*.md")
        for match in generate_docs.BLOCK.finditer(page.read_text(encoding="utf-8"))
    ]
    assert sorted(found) == sorted(generate_docs.BLOCKS)


def test_the_deployment_page_has_every_setting_with_what_it_means() -> None:
    page = (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert f"| `PITADA_{name.upper()}` |" in page
        assert field.description in page


def test_a_changed_block_is_noticed() -> None:
    generate_docs = load()
    assert generate_docs.render("<!-- generated: limits -->\nold\n<!-- end -->") != (
        "<!-- generated: limits -->\nold\n<!-- end -->"
    )
