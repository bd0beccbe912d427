"""The jobs that power cuts are tried on, and the judge of how they ended. Runs on both Pythons.

Nothing here knows how a dispenser is run: the search on CPython and the MicroPython VM give their endings to the same
`Figures`. A flask's flow makes a milligram of each millisecond, so an opening's time is its amount.
"""

from protocol.limits import MAX_ITEMS
from protocol.messages import FlaskConfig, JobCompleted

try:
    from collections.abc import Sequence
    from typing import TypeAlias

    # (flask, target_mg) of each item.
    Shape: TypeAlias = "tuple[tuple[int, int], ...]"
except ImportError:  # MicroPython has no typing; only type checkers look at these
    pass


def shape_of(size: int, first_mg: int = 200, step_mg: int = 30) -> "Shape":
    """A job of so many items; no two amounts alike, so that a report of the wrong item shows."""
    return tuple([(flask, first_mg + step_mg * flask + size) for flask in range(1, size + 1)])


# One job of each size.
SHAPES: "tuple[Shape, ...]" = tuple([shape_of(size) for size in range(1, MAX_ITEMS + 1)])


def flask_config(flask: int) -> FlaskConfig:
    """A flask as the judge expects it: a milligram a millisecond."""
    return FlaskConfig(
        flask=flask,
        flow_mg_per_s=1000,
        max_open_ms=60_000,
        channel=flask - 1,
        closed_us=1000,
        open_us=2000,
        settle_ms=200,
    )


class Ending:
    """How a job ended. `openings`: (flask, ms it was physically open) of every opening, over all boots.

    `reports`: every completion that the server got, repeats too. `problem`: why it never ended; empty when it did.
    `late_ms`: how late a gate may close here, so that more than the target leaves an item.
    """

    def __init__(
        self,
        openings: "Sequence[tuple[int, int]]",
        reports: "Sequence[JobCompleted]",
        problem: str = "",
        late_ms: int = 0,
    ) -> None:
        self.openings = openings
        self.reports = reports
        self.problem = problem
        self.late_ms = late_ms


class Figures:
    """What many cuts came to. All but the counts of what was tried must be 0.

    repeats: openings of an item beyond its first. unflagged: items whose report is not what left the flask, and is not
    in doubt; and every item of a job that nobody reported. unbootable: boots after which the job did not end.
    undetected: damaged generations that the boot took for good.
    """

    TRIED = ("cuts", "before", "torn", "while_open", "double", "bit_flips")
    WRONG = ("repeats", "unflagged", "unbootable", "undetected")

    def __init__(self) -> None:
        self.cuts = self.before = self.torn = self.while_open = self.double = self.bit_flips = 0
        self.repeats = self.unflagged = self.unbootable = self.undetected = 0

    def __repr__(self) -> str:
        return f"Figures({self.values()})"

    @property
    def held(self) -> bool:
        """Whether the promise was kept by all of it."""
        return not (self.repeats or self.unflagged or self.unbootable or self.undetected)

    def take(self, shape: "Shape", ending: Ending) -> None:
        """Judge one ending; its cuts are counted by whoever made them."""
        opened = [flask for flask, _ms in ending.openings]
        self.repeats += len(opened) - len(set(opened))
        if ending.problem or not ending.reports:
            self.unbootable += 1
            return
        self.unflagged += unflagged(shape, ending)

    def add(self, other: "Figures") -> None:
        for name in self.TRIED + self.WRONG:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def values(self) -> "dict[str, int]":
        return {name: getattr(self, name) for name in self.TRIED + self.WRONG}


def unflagged(shape: "Shape", ending: Ending) -> int:
    """How many items a reader of the reports would be wrong about."""
    report = ending.reports[-1]
    if tuple([(one.flask, one.target_mg) for one in report.items]) != tuple(shape):
        return len(shape)
    wrong = 0
    for item in report.items:
        flowed_mg = sum([ms for flask, ms in ending.openings if flask == item.flask])
        if item.state == "in_doubt":
            wrong += not (item.error == "interrupted" and flowed_mg <= item.target_mg + ending.late_ms)
        else:
            is_all = item.target_mg <= flowed_mg <= item.target_mg + ending.late_ms
            wrong += item.dispensed_mg != flowed_mg or (item.state == "done") != is_all
    # A report that is another one when it is repeated: one of the two is wrong.
    return wrong + len({repr(one) for one in ending.reports}) - 1
