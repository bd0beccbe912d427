"""The demo as a user runs it: it ends by itself, and its ledger equals what left the flasks."""

import json
import os
import re
import subprocess
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from protocol.states import ITEM_ENDS, JOB_ENDS
from tests.programs import need


def judged(summary: dict[str, Any]) -> None:
    assert summary["problems"] == []
    assert summary["divergences"] == 0
    assert summary["double_dispenses"] == 0
    # Every end that exists was reached, and nothing is left open.
    assert set(summary["jobs"]) == set(JOB_ENDS)
    assert set(summary["items"]) == set(ITEM_ENDS)
    assert sum(summary["jobs"].values()) >= 30
    assert summary["wifi_drops"] >= 10
    assert summary["power_cuts"] >= 5
    assert summary["jams"] >= 1
    assert summary["duplicates"] >= 1
    assert summary["in_doubt"] >= 1
    assert summary["movements"] > summary["items"]["done"]
    assert summary["seconds"] < 90


@pytest.mark.timeout(180)
@pytest.mark.parametrize("servers", [("embedded", "sqlite"), ("mosquitto", "postgresql")], ids="-".join)
def test_thirty_jobs_through_drops_cuts_and_a_jam_end_with_the_ledger_equal_to_the_truth(
    pitada: Callable[..., "subprocess.CompletedProcess[str]"], servers: tuple[str, str]
) -> None:
    broker, database = servers
    if broker == "mosquitto":
        need("mosquitto")
    before = children()
    ended = pitada("demo", "--jobs", "30", "--exit", "--json", "--broker", broker, "--database", database, timeout=150)
    assert ended.returncode == 0, ended.stderr[-4000:]
    judged(json.loads(ended.stdout.splitlines()[-1]))
    assert children() == before


@pytest.mark.timeout(120)
def test_the_demo_prints_one_link_that_works_and_ctrl_c_leaves_nothing_running(
    background: Callable[..., Any], tmp_path: Path, until: Callable[..., Any]
) -> None:
    before = children()
    demo = background("demo")
    log = next(tmp_path.glob("demo-*.log"))

    def link() -> str | None:
        found = re.search(r"http://\S+/sign-in/\S+", log.read_text())
        return found[0] if found else None

    import asyncio

    url = asyncio.run(until(link))
    with urllib.request.urlopen(url, timeout=10) as page:  # noqa: S310  # our own link
        assert page.status == 200
    assert demo.stop() == 0
    assert children() == before


def children() -> set[str]:
    """The command lines of server processes of ours that run now."""
    found = set()
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            try:
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if "pitada-demo-" in command:
                found.add(command)
    return found
