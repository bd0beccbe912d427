"""The short search of `make power-cuts`; and that the search sees the mistakes it is there for."""

import pytest

from firmware.core import slots
from firmware.core.journal import Journal
from firmware.core.ports import Port
from firmware.core.runner import Runner
from tests.power_cuts.search import Effort, search
from tests.power_cuts.shapes import SHAPES

SHORT = Effort(torn_every=7, flip_every=211, double=False)


@pytest.mark.parametrize("size", [1, 2, 5, 16])
def test_no_cut_opens_a_flask_twice_or_leaves_a_report_untrue(size: int) -> None:
    figures = search(SHAPES[size - 1], Effort(torn_every=29, flip_every=997, double=size <= 2))
    assert figures.held, figures
    # One for the boot, four for the job and two an item.
    assert figures.before == 5 + 2 * size
    assert figures.while_open == size
    assert figures.torn > 5 * figures.before
    assert figures.bit_flips > 10
    assert (figures.double > 0) == (size <= 2)


def test_it_sees_an_opening_that_is_not_in_flash_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    advance = Runner.advance

    def open_at_once(self: Runner, now_ms: int, quiet: bool, out: list[Port]) -> None:
        advance(self, now_ms, quiet, out)
        if self.is_busy() and not self.is_open:
            self._mark = 0
            advance(self, now_ms, quiet, out)

    monkeypatch.setattr(Runner, "advance", open_at_once)
    assert search(SHAPES[1], SHORT).repeats


def test_it_sees_a_checksum_that_nobody_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slots, "unseal", lambda content: None if not content else bytes(content[9:]))
    figures = search(SHAPES[1], Effort(torn_every=7, flip_every=17, double=False))
    assert figures.undetected
    assert figures.unflagged


def test_it_sees_a_journal_of_one_generation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slots, "STATES", ("state.a", "state.a"))
    assert not search(SHAPES[1], SHORT).held


def test_it_sees_an_interrupted_item_that_is_begun_again(monkeypatch: pytest.MonkeyPatch) -> None:
    adopt = Journal._adopt

    def forget(self: Journal, state: slots.StoredState, lost: bool) -> None:
        adopt(self, state, lost)
        for item in self.job.items if self.job else ():
            if item.state == "in_doubt":
                item.state, item.error = "pending", None

    monkeypatch.setattr(Journal, "_adopt", forget)
    assert search(SHAPES[1], SHORT).repeats


def test_it_sees_a_flask_that_is_reported_as_never_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    adopt = Journal._adopt

    def skip(self: Journal, state: slots.StoredState, lost: bool) -> None:
        adopt(self, state, lost)
        for item in self.job.items if self.job else ():
            if item.state == "in_doubt":
                item.state, item.error, item.dispensed_mg, item.duration_ms = "skipped", "cancelled", 0, 0

    monkeypatch.setattr(Journal, "_adopt", skip)
    assert search(SHAPES[1], SHORT).unflagged


def test_it_sees_a_boot_that_does_not_come_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(content: bytes | None) -> bytes | None:
        if content is not None and len(content) < 30:
            raise ValueError("too short")
        return unseal(content)

    unseal = slots.unseal
    monkeypatch.setattr(slots, "unseal", refuse)
    assert search(SHAPES[0], SHORT).unbootable
