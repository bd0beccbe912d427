"""What physically left every flask, opening by opening, and the comparison of a ledger with it."""

from collections import Counter, deque
from collections.abc import Iterable, Mapping, Set
from functools import lru_cache
from typing import NamedTuple

from firmware.core.slots import STATES, StoredState, read_state

# How an opening ended.
CLOSED = "closed"
STOPPED = "stopped"
POWER_LOST = "power_lost"
JAMMED = "jammed"

# A fleet that runs for days keeps the latest openings, about 20 MB of them; the totals are kept for ever.
KEPT_OPENINGS = 100_000


class Opening(NamedTuple):
    """One opening that the core ordered. `job` and `item` are what it was working on, None when it cannot be told.

    `number` counts the dispenser's openings from 1; `start_ms` is on this process's monotonic clock.
    """

    device: str
    flask: int
    number: int
    job: str | None
    item: int | None
    start_ms: int
    open_ms: int
    mg: int
    end: str


class Purpose(NamedTuple):
    """What an opening is for: it is the dispenser's k-th, for that item of that job; None when flash does not say."""

    number: int
    job: str | None
    item: int | None


# Of two slots one is always what it was the last time.
_read = lru_cache(1024)(read_state)


def newest_state(flash: Mapping[str, bytes]) -> StoredState | None:
    """The state that a boot from this flash would go on from."""
    states = [state for state in map(_read, map(flash.get, STATES)) if state is not None]
    return max(states, key=lambda state: state.generation, default=None)


def purpose_of(flask: int, flash: Mapping[str, bytes]) -> tuple[str | None, int | None]:
    """(job, item) of the item on `flask` that the state in flash says is being dispensed.

    A dispenser saves that before it opens the gate. (None, None): it did not, and a power cut now would lose the item.
    """
    newest = newest_state(flash)
    for number, item in enumerate(newest.items if newest else ()):
        if newest and item.flask == flask and item.state == "dispensing":
            return newest.job, number
    return None, None


class FlaskLedger(NamedTuple):
    """What a ledger says about one flask: the sum of its dispense movements, and the target of each item in doubt."""

    device: str
    flask: int
    dispensed_mg: int
    in_doubt_mg: tuple[int, ...] = ()


class Divergence(NamedTuple):
    """A flask whose truth lies outside what its ledger allows."""

    device: str
    flask: int
    left_mg: int
    lowest_mg: int
    highest_mg: int

    def __str__(self) -> str:
        return (
            f"{self.device} flask {self.flask}: {self.left_mg} mg left it, "
            f"the ledger allows {self.lowest_mg} to {self.highest_mg} mg"
        )


class DoubleDispense(NamedTuple):
    """An item whose flask was opened more than once."""

    device: str
    job: str
    item: int
    openings: int


class Comparison(NamedTuple):
    """The judgement. All empty: the ledger equals the truth, and no gate moved before flash said why."""

    divergences: tuple[Divergence, ...]
    double_dispenses: tuple[DoubleDispense, ...]
    unjournaled: tuple[Opening, ...]


class Truth:
    """The witness of every opening in a fleet."""

    def __init__(self) -> None:
        self.left_mg: Counter[tuple[str, int]] = Counter()
        self.openings: deque[Opening] = deque(maxlen=KEPT_OPENINGS)
        self.openings_total = 0

    def record(self, opening: Opening) -> None:
        self.openings_total += 1
        self.openings.append(opening)
        self.left_mg[opening.device, opening.flask] += opening.mg

    def of_item(self, job: str, item: int) -> list[Opening]:
        """Every opening kept for one item of a job, jammed ones too."""
        return [opening for opening in self.openings if opening.job == job and opening.item == item]

    def after(self, number: int) -> list[Opening]:
        """The openings after the first `number`, as far as they are kept, oldest first."""
        count = min(self.openings_total - number, len(self.openings))
        return [self.openings[at] for at in range(-count, 0)]

    def unjournaled(self) -> tuple[Opening, ...]:
        """Openings that flash knew nothing of when they began."""
        return tuple(opening for opening in self._kept() if opening.job is None)

    def double_dispenses(self) -> tuple[DoubleDispense, ...]:
        """Items that were opened more than once, whatever came out. A gate that never moved was not opened."""
        opened: Counter[tuple[str, str, int]] = Counter()
        for opening in self._kept():
            if opening.end != JAMMED and opening.job is not None and opening.item is not None:
                opened[opening.device, opening.job, opening.item] += 1
        return tuple(DoubleDispense(*item, count) for item, count in sorted(opened.items()) if count > 1)

    def _kept(self) -> list[Opening]:
        """Those that are kept now; it may be asked in a thread, while more are recorded."""
        return list(self.openings)


def compare(truth: Truth, ledger: Iterable[FlaskLedger], but: Set[str] = frozenset()) -> Comparison:
    """Judge a ledger: each flask's truth must lie from what is dispensed to that plus its items in doubt.

    Plain tuples in the order of `FlaskLedger` will do. A flask that the ledger does not name must have lost nothing.
    `but`: dispensers whose flasks are not judged, for they have a job in hand.
    No tolerance: the amounts are computed from the same integers (`flask.flowed_mg`). Only an item whose power went
    after its gate had closed by itself, and before flash said so, can lie above its target, by the gate's lateness; the
    cuts of a fault plan never fall there.
    """
    known = {(row[0], row[1]): (row[2], row[2] + sum(row[3])) for row in ledger}
    divergences = []
    for device, flask in sorted(known.keys() | truth.left_mg.keys()):
        if device in but:
            continue
        lowest_mg, highest_mg = known.get((device, flask), (0, 0))
        left_mg = truth.left_mg[device, flask]
        if not lowest_mg <= left_mg <= highest_mg:
            divergences.append(Divergence(device, flask, left_mg, lowest_mg, highest_mg))
    return Comparison(tuple(divergences), truth.double_dispenses(), truth.unjournaled())
