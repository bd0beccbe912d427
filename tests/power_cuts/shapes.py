"""The jobs that power cuts are tried on, and the judge of how they ended.

Nothing here knows how a dispenser is run: the search on CPython and the MicroPython VM give their endings to the same
`Figures`. A flask's flow makes a milligram of each millisecond, so an opening's time is its amount.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields

from protocol.limits import MAX_ITEMS
from protocol.messages import FlaskConfig, JobCompleted

# (flask, target_mg) of each item.
Shape = tuple[tuple[int, int], ...]

# One job of each size; no two amounts alike, so that a report of the wrong item shows.
SHAPES: tuple[Shape, ...] = tuple(
    tuple((flask, 200 + 30 * flask + size) for flask in range(1, size + 1)) for size in range(1, MAX_ITEMS + 1)
)


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


@dataclass(frozen=True)
class Ending:
    """How a job ended. `openings`: (flask, ms it was physically open) of every opening, over all boots.

    `reports`: every completion that the server got, repeats too. `problem`: why it never ended; empty when it did.
    """

    openings: Sequence[tuple[int, int]]
    reports: Sequence[JobCompleted]
    problem: str = ""


@dataclass
class Figures:
    """What many cuts came to. All but the counts of what was tried must be 0.

    repeats: openings of an item beyond its first. unflagged: items whose report is not what left the flask, and is not
    in doubt; and every item of a job that nobody reported. unbootable: boots after which the job did not end.
    undetected: damaged generations that the boot took for good.
    """

    cuts: int = 0
    before: int = 0
    torn: int = 0
    while_open: int = 0
    double: int = 0
    bit_flips: int = 0
    repeats: int = 0
    unflagged: int = 0
    unbootable: int = 0
    undetected: int = 0

    @property
    def held(self) -> bool:
        """Whether the promise was kept by all of it."""
        return not (self.repeats or self.unflagged or self.unbootable or self.undetected)

    def take(self, shape: Shape, ending: Ending) -> None:
        """Judge one ending; its cuts are counted by whoever made them."""
        opened = Counter(flask for flask, _ms in ending.openings)
        self.repeats += sum(count - 1 for count in opened.values())
        if ending.problem or not ending.reports:
            self.unbootable += 1
            return
        self.unflagged += unflagged(shape, ending)

    def add(self, other: "Figures") -> None:
        for one in fields(self):
            setattr(self, one.name, getattr(self, one.name) + getattr(other, one.name))

    def values(self) -> dict[str, int]:
        return asdict(self)


def unflagged(shape: Shape, ending: Ending) -> int:
    """How many items a reader of the reports would be wrong about."""
    report = ending.reports[-1]
    if [(one.flask, one.target_mg) for one in report.items] != list(shape):
        return len(shape)
    flowed: Counter[int] = Counter()
    for flask, ms in ending.openings:
        flowed[flask] += ms
    wrong = 0
    for item in report.items:
        if item.state == "in_doubt":
            wrong += not (item.error == "interrupted" and flowed[item.flask] <= item.target_mg)
        else:
            wrong += item.dispensed_mg != flowed[item.flask] or (item.state == "done") != (
                item.dispensed_mg == item.target_mg
            )
    # A report that is another one when it is repeated: one of the two is wrong.
    return wrong + len({repr(one) for one in ending.reports}) - 1
