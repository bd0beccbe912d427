"""The commands of docs/operations.md run as they are written."""

import re
import shlex
from pathlib import Path

from tests.pitada.cli.conftest import Run

PAGE = Path(__file__).resolve().parents[2] / "docs" / "operations.md"


def test_every_command_of_the_page_runs_in_its_order(pitada: Run) -> None:
    # A fence with a language (```text) shows what a person fills in; those without are the session.
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    commands = [line for language, block in blocks if not language for line in block.splitlines()]
    assert len(commands) > 10
    for line in commands:
        program, *arguments = shlex.split(line)
        ended = pitada(*arguments)
        assert (program, ended.returncode, ended.stderr) == ("pitada", 0, ""), line
        assert ended.stdout.strip(), line
    assert "0 divergences" in ended.stdout


def test_every_command_that_waits_for_a_person_is_on_the_page(pitada: Run) -> None:
    page = PAGE.read_text(encoding="utf-8")
    for group in ("recipes", "dead-letters"):
        # A list's first column, in the frame that the help draws.
        for command in re.findall(r"^│ (\w+) ", pitada(group, "--help").stdout.split("Commands")[-1], re.MULTILINE):
            assert f"pitada {group} {command}" in page or command == "list", command
