"""`pitada fleet`: what it refuses before it begins, and how it looks."""

import io
import resource
from typing import Any

import pytest
from rich.console import Console

from pitada.cli.fleet_screen import drawn
from pitada.fleet.figures import Figures, Spread
from tests.pitada.cli.conftest import Run, refused

FIGURES = Figures(
    dispensers=10_000,
    connected=9_998,
    boots=10_003,
    reconnects=12,
    connects_per_s=1.5,
    connects_peak_per_s=986,
    placed=1_000,
    ended=960,
    refused=2,
    jobs_per_s=49.8,
    settle=Spread(960, 1900, 3600, 5300, 7500),
    receipt=Spread(0, None, None, None, None),
    openings=2_400,
    faults={"jam": 4, "wifi_drop": 1_041},
    divergences=0,
)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--plan", "calm"), "'calm' is not one of solid, home, warehouse, awful, demo"),
        (("--fault", "rain"), "'rain' is not one of jam, power_cut, duplicate_id, slow_flash"),
        (("--plan", "demo", "--fault", "jam"), "the plan demo has its own faults"),
        (("--exit",), "--exit needs --jobs"),
    ],
)
def test_options_that_cannot_be_are_refused(pitada: Run, options: tuple[str, ...], says: str) -> None:
    assert says in words(refused(pitada("fleet", *options), code=2))


def test_too_few_open_files_are_named_with_what_to_do(pitada: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _which: (1024, 4096))
    monkeypatch.setattr(resource, "setrlimit", lambda _which, _limits: None)
    said = words(refused(pitada("fleet", "--dispensers", "10000"), code=2))
    assert "10000 dispensers need 10300 open files, and this process may have 4096" in said
    assert "ulimit -n 10300" in said


def test_orders_need_a_dashboard_and_say_which_one_does_not_answer(pitada: Run) -> None:
    said = refused(pitada("fleet", "--jobs", "1", "--url", "http://127.0.0.1:1"))
    assert "The dashboard at http://127.0.0.1:1 does not answer" in said


def test_the_screen_shows_what_a_person_looks_for() -> None:
    out = io.StringIO()
    Console(file=out, width=100).print(drawn(FIGURES))
    lines = [" ".join(line.split()) for line in out.getvalue().splitlines()]
    assert lines == [
        "Connected 9,998 of 10,000",
        "CONNECTs 1.5 a second, at most 986; reconnects 12",
        "Jobs 1,000 placed, 960 ended, 40 open, 2 refused; 49.8 a second",
        "Order to end half 1.9 s, 90 % 3.6 s, 99 % 5.3 s, slowest 7.5 s",
        "Report to receipt none yet",
        "Faults jam 4, wifi drop 1,041",
        "Divergences 0",
        "Ctrl-C ends it, with a summary.",
    ]


def words(box: Any) -> str:
    """What a frame drawn around an error says."""
    return " ".join(str(box).replace("│", " ").split())
