"""What the final tables must be, from what was ordered and what the dispensers said. Nothing of the services is used.

Plain Python, by the design's rules alone: a rank only rises, a dispenser's end is final, only what left a flask is
debited, an item that has ended reserves nothing, and a job's state follows from its items.
"""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

_ENDS = ("done", "failed", "in_doubt", "skipped")


@dataclass(slots=True)
class Order:
    """An offered job: (flask, target_mg) of each item."""

    job: str
    device: str
    items: Sequence[tuple[int, int]]


@dataclass(slots=True)
class Tables:
    """jobs: state. items: (state, dispensed_mg). movements: (device, flask, kind, delta_mg) of (job, item), each once.

    flasks: (stock_mg, reserved_mg) of (device, flask).
    """

    jobs: dict[str, str] = field(default_factory=dict)
    items: dict[tuple[str, int], tuple[str, int | None]] = field(default_factory=dict)
    movements: dict[tuple[str, int], tuple[str, int, str, int]] = field(default_factory=dict)
    flasks: dict[tuple[str, int], tuple[int, int]] = field(default_factory=dict)

    def differences(self, other: "Tables", most: int = 10) -> list[str]:
        """The first `most` rows in which another has something else, in words."""
        found = []
        for name in ("jobs", "items", "movements", "flasks"):
            mine, theirs = getattr(self, name), getattr(other, name)
            for key in sorted(mine.keys() | theirs.keys()):
                if mine.get(key) != theirs.get(key):
                    found.append(f"{name} {key}: {mine.get(key)} is expected, {theirs.get(key)} is there")
                if len(found) == most:
                    return found
        return found


def final_tables(
    orders: Iterable[Order], said: Iterable[tuple[str, bytes]], stock_mg: dict[tuple[str, int], int]
) -> Tables:
    """The tables after every message in `said` ((topic, payload), any order, any repeats); `stock_mg` is the start."""
    tables = Tables()
    placed = {order.job: order for order in orders}
    for order in placed.values():
        tables.jobs[order.job] = "offered"
        tables.items |= {(order.job, number): ("pending", None) for number in range(len(order.items))}
    completed = set()
    for topic, payload in said:
        fact = json.loads(payload)
        order = placed[fact["job"]]
        if topic.endswith("/job/completion"):
            completed.add(order.job)
            reports = [(report["item"], report) for report in fact["items"]]
        else:
            reports = [(fact["item"], fact)]
        for number, report in reports:
            _raise(tables, (order.job, number), report["state"], report["dispensed_mg"])
        if tables.jobs[order.job] == "offered":
            tables.jobs[order.job] = "running"
    for job in completed:
        tables.jobs[job] = _outcome([tables.items[job, number][0] for number in range(len(placed[job].items))])
    _debit(tables, placed, stock_mg)
    return tables


def _raise(tables: Tables, key: tuple[str, int], state: str, dispensed_mg: int | None) -> None:
    if tables.items[key][0] not in _ENDS and (state in _ENDS or state == "dispensing"):
        tables.items[key] = (state, dispensed_mg)


def _outcome(states: Sequence[str]) -> str:
    done = states.count("done")
    if done:
        return "done" if done == len(states) else "done_partial"
    return "cancelled" if "skipped" in states else "failed"


def _debit(tables: Tables, placed: dict[str, Order], stock_mg: dict[tuple[str, int], int]) -> None:
    left: Counter[tuple[str, int]] = Counter()
    reserved: Counter[tuple[str, int]] = Counter()
    for (job, number), (state, dispensed_mg) in tables.items.items():
        order = placed[job]
        flask, target_mg = order.items[number]
        if state not in _ENDS:
            reserved[order.device, flask] += target_mg
        elif state == "done" or (state == "failed" and dispensed_mg):
            kind = "dispense" if state == "done" else "partial"
            tables.movements[job, number] = (order.device, flask, kind, -(dispensed_mg or 0))
            left[order.device, flask] += dispensed_mg or 0
    tables.flasks = {key: (start - left[key], reserved[key]) for key, start in stock_mg.items()}
