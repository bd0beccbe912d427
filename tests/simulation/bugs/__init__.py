"""Defects that the checkers must see: each takes one promise away, at one point, and leaves the rest as it is.

A bug is a patch of the product's own code. `tests/simulation/test_bugs.py` shows that each is caught within `WITHIN`
schedules, and `make simulate ARGS="--bugs"` writes the table of them in the docs.
"""

from tests.simulation.bugs import dispenser, ledger, services  # noqa: F401  # each registers its own
from tests.simulation.bugs.bug import BUGS, WITHIN, Bug

__all__ = ["BUGS", "WITHIN", "Bug"]
