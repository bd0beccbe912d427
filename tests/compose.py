"""docker-compose.yml as data. Container engines are not needed to read it."""

from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]


def compose() -> dict[str, Any]:
    """The whole file, its anchors resolved."""
    found: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    return found


def ours() -> dict[str, dict[str, Any]]:
    """The services that run the `pitada` image, by name."""
    return {name: one for name, one in compose()["services"].items() if one["image"] == "pitada"}
