"""What a seed makes happen: who is there, what people order, and what breaks when. All of it is drawn before it runs.

An action strikes right after a given note of the trace, and after a short wait: so it falls between any two steps of
whatever runs then. A shrunk run leaves actions out and changes nothing else of the plan.
"""

import json
import random
from collections.abc import Callable
from typing import NamedTuple

from simulators.faults import DUPLICATE, JAM, Fault, FixedFaults
from simulators.flask import FlaskSpec
from simulators.world.dispensers import WorldSpec

# What people do.
ORDER = "order"
CANCEL = "cancel"
RETRY = "retry"
REFILL = "refill"
COUNT = "count"
RESOLVE = "resolve"
STOP_BUTTON = "stop_button"
PEOPLE = (CANCEL, RETRY, REFILL, COUNT, RESOLVE, STOP_BUTTON)

# What breaks. `jam` and `duplicate` are drawn by opening and by publish, the others are actions.
POWER_CUT = "power_cut"
WIFI_DROP = "wifi_drop"
HALF_OPEN = "half_open"
FLASH_FULL = "flash_full"
BIT_FLIP = "bit_flip"
WIPE = "wipe"
SWAP = "swap"
BROKER_CRASH = "broker_crash"
BROKER_RESTART = "broker_restart"
LATE_WILL = "late_will"
REPEAT = "repeat"
LINK_BREAK = "link_break"
TAKEOVER = "takeover"
INGEST_KILL = "ingest_kill"
DISPATCH_KILL = "dispatch_kill"
DATABASE_AWAY = "database_away"
STATEMENT = "statement"
COMMIT_UNKNOWN = "commit_unknown"
RESTORE = "restore"

# Each with its weight.
BREAKS = {
    POWER_CUT: 8,
    WIFI_DROP: 3,
    HALF_OPEN: 3,
    FLASH_FULL: 2,
    BIT_FLIP: 3,
    WIPE: 2,
    SWAP: 2,
    BROKER_CRASH: 6,
    BROKER_RESTART: 2,
    LATE_WILL: 3,
    REPEAT: 3,
    LINK_BREAK: 3,
    TAKEOVER: 2,
    INGEST_KILL: 5,
    DISPATCH_KILL: 3,
    DATABASE_AWAY: 4,
    STATEMENT: 3,
    COMMIT_UNKNOWN: 3,
    RESTORE: 2,
}
_KINDS = tuple(kind for kind, weight in BREAKS.items() for _ in range(weight))

# What each flask is said to hold. It holds more, so that none is ever empty: that is not what is judged here.
STOCK_MG = 50_000
CONTENTS_MG = 100 * STOCK_MG

# How fast each flask of a dispenser flows. An item takes 5 ms to 2 s.
FLOWS_MG_PER_S = (2000, 5000, 20_000)

# The share of the power cuts that come while a flask is open or just closed: most of the time none is.
IN_THE_POUR = 0.6


class Action(NamedTuple):
    """`kind` strikes `wait_ms` after note number `at`. `numbers` are what it draws on: in [0, 1), in a fixed order."""

    kind: str
    at: int
    wait_ms: int
    device: str
    numbers: tuple[float, ...]


class Plan(NamedTuple):
    """Everything a seed decides beforehand."""

    seed: int
    specs: tuple[WorldSpec, ...]
    actions: tuple[Action, ...]

    def only(self, kept: Callable[[int], bool]) -> "Plan":
        """The plan with those of its actions alone, by their position."""
        return self._replace(actions=tuple(action for number, action in enumerate(self.actions) if kept(number)))


def dump(drawn: Plan) -> str:
    """A plan as JSON, to be kept: it stays the same when plans are drawn otherwise."""
    specs = [
        (spec.device, spec.flasks, spec.save_ms, spec.faults.openings, spec.faults.publishes) for spec in drawn.specs
    ]
    return json.dumps({"seed": drawn.seed, "specs": specs, "actions": drawn.actions})


def load(text: str) -> Plan:
    """The plan that `dump` wrote."""
    values = json.loads(text)
    specs = []
    for device, flasks, save_ms, openings, publishes in values["specs"]:
        faults = [{int(number): Fault(*fault) for number, fault in kind.items()} for kind in (openings, publishes)]
        specs.append(WorldSpec(device, [FlaskSpec(*flask) for flask in flasks], save_ms, FixedFaults(*faults)))
    actions = [Action(kind, at, wait, device, tuple(draws)) for kind, at, wait, device, draws in values["actions"]]
    return Plan(values["seed"], tuple(specs), tuple(actions))


def draw(seed: int) -> Plan:
    """The plan of a seed."""
    rng = random.Random(f"plan/{seed}")
    specs = tuple(_spec(f"disp-{number}", rng) for number in range(1, 1 + rng.choice((1, 1, 1, 1, 1, 2))))
    devices = [spec.device for spec in specs]
    actions = [_action(ORDER, rng, devices, latest) for latest in (12, *[50] * rng.choice((0, 0, 1, 1, 2)))]
    wishes = rng.sample(PEOPLE, rng.randint(0, 2))
    actions += [_action(kind, rng, devices, 70) for kind in wishes]
    kinds = [rng.choice(_KINDS) for _ in range(rng.randint(1, 5))]
    if RESTORE in kinds and (WIPE in kinds or SWAP in kinds):
        # A ledger set back and a journal erased leave no witness but the flask: no product could know.
        kinds = [kind for kind in kinds if kind not in (WIPE, SWAP)]
    breaks = [_action(kind, rng, devices, 70) for kind in kinds]
    if rng.random() < 0.4:
        # Misfortunes never come singly.
        breaks[1:] = [action._replace(at=breaks[0].at + rng.randint(0, 4)) for action in breaks[1:]]
    if rng.random() < 0.2:
        # What nobody could take yet goes with the broker.
        deaf = _action(rng.choice((INGEST_KILL, DATABASE_AWAY)), rng, devices, 40)._replace(wait_ms=0)
        breaks += [deaf, _action(BROKER_CRASH, rng, devices, 1)._replace(at=deaf.at + rng.randint(1, 12))]
    if RESOLVE in wishes:
        # What somebody resolves was in doubt.
        cut = _action(POWER_CUT, rng, devices, 25)
        breaks.append(cut._replace(numbers=(*cut.numbers[:3], 0.0, *cut.numbers[4:])))
    if RETRY in wishes:
        specs = tuple(spec._replace(faults=_jamming(spec.faults, rng)) for spec in specs)
    actions += breaks
    return Plan(seed, specs, tuple(sorted(actions, key=lambda action: action.at)))


def _spec(device: str, rng: random.Random) -> WorldSpec:
    flasks = [
        FlaskSpec(flask, CONTENTS_MG, flow_mg_per_s, load_cell=rng.random() < 0.1)
        for flask, flow_mg_per_s in enumerate(FLOWS_MG_PER_S, 1)
    ]
    openings = {rng.randint(1, 6): Fault(JAM)} if rng.random() < 0.2 else {}
    publishes = {rng.randint(1, 25): Fault(DUPLICATE) for _ in range(rng.choice((0, 0, 0, 1, 2)))}
    return WorldSpec(device, flasks, rng.choice((5, 50, 200)), FixedFaults(openings, publishes))


def _jamming(faults: FixedFaults, rng: random.Random) -> FixedFaults:
    """What somebody retries has failed."""
    return FixedFaults({rng.randint(1, 3): Fault(JAM), **faults.openings}, faults.publishes)


def _action(kind: str, rng: random.Random, devices: list[str], latest: int) -> Action:
    wait_ms = rng.choice((0, 0, rng.randint(0, 30), rng.randint(0, 1000)))
    return Action(
        kind, rng.randint(1, latest), wait_ms, rng.choice(devices), tuple(round(rng.random(), 6) for _ in range(6))
    )
