"""The checkers see every seeded bug: without this, no divergence would mean nothing."""

import pytest

from tests.simulation.bugs import BUGS, WITHIN
from tests.simulation.hunt import DOCS, hunt_again


@pytest.mark.timeout(600)
@pytest.mark.parametrize("bug", BUGS)
def test_a_seeded_bug_is_seen(bug: str) -> None:
    assert hunt_again(bug).schedule is not None, f"{BUGS[bug].what}: not seen in {WITHIN} schedules"


def test_there_are_thirty_of_them_and_the_docs_list_each() -> None:
    assert len(BUGS) >= 30
    table = DOCS.read_text()
    assert [bug.what for bug in BUGS.values() if f"| {bug.where} | {bug.what} |" not in table] == []
