"""What goes wrong, and at which event: the k-th opening, the m-th publish. Never at a wall-clock time.

So a plan is the same for the same seed, and how often each fault happens is certain, however slow the machine.
"""

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

POWER_CUT = "power_cut"
WIFI_DROP = "wifi_drop"
HALF_OPEN = "half_open"
JAM = "jam"
DUPLICATE = "duplicate"
DELAY = "delay"
DUPLICATE_ID = "duplicate_id"

# In the order in which they are drawn: a new kind comes last, and leaves the draws of the others as they are.
OPENING_KINDS = (POWER_CUT, WIFI_DROP, HALF_OPEN, JAM, DUPLICATE_ID)
PUBLISH_KINDS = (DUPLICATE, DELAY)


class Fault(NamedTuple):
    """One fault. `ms`: how long the power or Wi-Fi is away, or how long bytes are held back.

    `at_percent`: how far into the opening it strikes; a jam is there from the start.
    """

    kind: str
    ms: int = 0
    at_percent: int = 50


class FaultPlan(Protocol):
    """The faults of one dispenser. Both count from 1 over the dispenser's whole life, reboots included."""

    def at_opening(self, number: int) -> Fault | None: ...

    def at_publish(self, number: int) -> Fault | None: ...


# A fault that cannot strike when it is due (no link to drop, the flask closed early) waits for the next opening that
# has none of its own. More than these waiting means that the dispenser hardly connects: further ones are not kept.
MAX_OWED = 16


class Strikes:
    """Counts one dispenser's openings and publishes, and says which fault strikes at each."""

    __slots__ = ("_owed", "_plan", "openings", "publishes")

    def __init__(self, plan: FaultPlan) -> None:
        self._plan = plan
        self._owed: list[Fault] = []
        self.openings = 0
        self.publishes = 0

    def at_opening(self) -> Fault | None:
        """Count an opening. The fault planned for it, else the one that has waited longest."""
        self.openings += 1
        fault = self._plan.at_opening(self.openings)
        if fault is None and self._owed:
            fault = self._owed.pop(0)
        return fault

    def at_publish(self) -> Fault | None:
        """Count a publish; the fault planned for it."""
        self.publishes += 1
        return self._plan.at_publish(self.publishes)

    def owe(self, fault: Fault) -> None:
        """The fault could not strike: it waits."""
        if len(self._owed) < MAX_OWED:
            self._owed.append(fault)


# The plan of each dispenser, by its id.
FleetPlan = Callable[[str], FaultPlan]


class FixedFaults:
    """Faults at named openings and publishes."""

    __slots__ = ("openings", "publishes")

    def __init__(
        self, openings: Mapping[int, Fault] | None = None, publishes: Mapping[int, Fault] | None = None
    ) -> None:
        self.openings = dict(openings or {})
        self.publishes = dict(publishes or {})

    def at_opening(self, number: int) -> Fault | None:
        return self.openings.get(number)

    def at_publish(self, number: int) -> Fault | None:
        return self.publishes.get(number)


class Profile(NamedTuple):
    """How often things go wrong: in 1,000 openings, and in 1,000 publishes."""

    power_cut: int = 0
    wifi_drop: int = 0
    half_open: int = 0
    jam: int = 0
    duplicate: int = 0
    delay: int = 0
    duplicate_id: int = 0


PROFILES = {
    "solid": Profile(),
    "home": Profile(power_cut=5, wifi_drop=30, half_open=2, jam=2, duplicate=5, delay=50),
    "warehouse": Profile(power_cut=2, wifi_drop=80, half_open=10, jam=5, duplicate=20, delay=100),
    "awful": Profile(power_cut=120, wifi_drop=250, half_open=30, jam=30, duplicate=150, delay=200),
}
DEMO = "demo"
PLANS = (*PROFILES, DEMO)

# What can be asked for on top of a profile, in 1,000 openings; and a slow flash, which every dispenser then has.
ADDED = {JAM: 50, POWER_CUT: 50, DUPLICATE_ID: 20}
SLOW_FLASH = "slow_flash"

# How long one save takes on a slow flash, as measured on ESP32s.
_SLOW_SAVE_MS = (130, 210)


class DrawnFaults:
    """Faults drawn by a profile's rates. A function of (seed, device, event number): it keeps no state to drift."""

    __slots__ = ("_name", "_profile")

    def __init__(self, profile: Profile, seed: int, device: str) -> None:
        self._profile = profile
        self._name = f"{seed}/{device}"

    def at_opening(self, number: int) -> Fault | None:
        return self._draw("opening", number, OPENING_KINDS)

    def at_publish(self, number: int) -> Fault | None:
        return self._draw("publish", number, PUBLISH_KINDS)

    def _draw(self, event: str, number: int, kinds: Sequence[str]) -> Fault | None:
        rates = self._profile._asdict()
        if not any(rates[kind] for kind in kinds):
            return None
        rng = random.Random(f"{self._name}/{event}/{number}")
        ticket = rng.randrange(1000)
        for kind in kinds:
            if ticket < rates[kind]:
                return _make(kind, rng)
            ticket -= rates[kind]
        return None


def plan_named(name: str, seed: int, devices: Sequence[str], also: Iterable[str] = ()) -> FleetPlan:
    """The plan called `name` (one of `PLANS`) for these dispensers, with more of some faults (of `ADDED`).

    Raises `ValueError` for any other name, and for more faults in the demo, whose plan is fixed.
    """
    more = tuple(also)
    if name == DEMO and not more:
        return demo(seed, devices)
    profile = PROFILES.get(name)
    if profile is None:
        raise ValueError(f"no fault plan is called {name!r}; take one of {', '.join(PROFILES if more else PLANS)}")
    worse = profile._replace(**{kind: max(getattr(profile, kind), ADDED[kind]) for kind in more})
    return lambda device: DrawnFaults(worse, seed, device)


def slow_save_ms(seed: int, device: str) -> int:
    """How long this dispenser's flash takes over one save when it is slow."""
    return random.Random(f"{seed}/{device}/flash").randint(*_SLOW_SAVE_MS)


# What the demo promises over the whole fleet is 10 drops, 5 power cuts and a jam. A few more are planned, because a
# drop waits for an opening with the link up, and the last ones of a short run can be left waiting.
_DEMO_TOTALS = ((WIFI_DROP, 15), (POWER_CUT, 6), (JAM, 1))
_DEMO_PUBLISHES = ((DUPLICATE, 9), (DELAY, 9))


def demo(seed: int, devices: Sequence[str]) -> FleetPlan:
    """The faults of the demo run: about 30 jobs of 2 or 3 items over three dispensers.

    Each dispenser's faults fall within twice as many openings as it has faults, so they are over well before its jobs.
    """
    plans = {}
    for position, device in enumerate(devices):
        rng = random.Random(f"{seed}/{device}/{DEMO}")
        opening_kinds = _share(_DEMO_TOTALS, position, len(devices))
        publish_kinds = _share(_DEMO_PUBLISHES, position, len(devices))
        plans[device] = FixedFaults(_place(opening_kinds, 2, rng), _place(publish_kinds, 4, rng))
    return lambda device: plans[device]


def _share(totals: Sequence[tuple[str, int]], position: int, count: int) -> list[str]:
    """One dispenser's part of the totals, dealt out like cards."""
    kinds = [kind for kind, total in totals for _ in range(total)]
    return kinds[position::count]


def _place(kinds: list[str], spread: int, rng: random.Random) -> dict[int, Fault]:
    """Each fault at an event of its own, all within `spread` events a fault."""
    numbers = rng.sample(range(1, spread * len(kinds) + 1), len(kinds))
    return {number: _make(kind, rng) for number, kind in zip(numbers, kinds, strict=True)}


# The shortest and longest time away. A board takes a moment to boot; a router, some seconds to come back.
_MS = {POWER_CUT: (300, 1500), WIFI_DROP: (300, 2000), DELAY: (20, 800)}


def _make(kind: str, rng: random.Random) -> Fault:
    low, high = _MS.get(kind, (0, 0))
    return Fault(kind, rng.randint(low, high), rng.randint(10, 90))
