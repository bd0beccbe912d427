"""Seeded work for chaos runs: offered jobs in a ledger, and every message that their dispensers send about them.

Four flasks a job, each with a `dispensing` and an end, then the completion: nine messages, as in the benchmarks. Some
items fail with a part dispensed, some end in doubt, and some messages come twice.
"""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import insert, text, update

from protocol import codec, topics
from protocol.messages import ItemProgressed, ItemReport, JobCompleted
from protocol.states import job_outcome
from services import devices
from services.devices import FlaskSetup
from services.ledger import tables
from services.ledger.database import Database
from tests.chaos.oracle import Order, Tables

EPOCH = "aaaaaaaa"
FLASKS = 4
MESSAGES_PER_JOB = 2 * FLASKS + 1
START_MG = 500_000_000
NOW_MS = 1_800_000_000_000

# Of a thousand items: those that fail, and those that end in doubt. Of a thousand messages: those that come twice.
_FAILED, _IN_DOUBT, _TWICE = 60, 30, 50

Said = tuple[str, bytes]


@dataclass(frozen=True)
class Workload:
    """`orders` of each dispenser in the order of their numbers; `said` of each job, as its dispenser sends it."""

    orders: dict[str, list[Order]]
    said: dict[str, list[Said]]

    @property
    def all_orders(self) -> list[Order]:
        return [order for each in self.orders.values() for order in each]

    @property
    def stock_mg(self) -> dict[tuple[str, int], int]:
        return {(device, flask): START_MG for device in self.orders for flask in range(1, FLASKS + 1)}

    def messages_of(self, device: str) -> list[Said]:
        return [message for order in self.orders[device] for message in self.said[order.job]]


def make(seed: int, jobs: int, dispensers: int) -> Workload:
    """That many jobs, dealt out to that many dispensers."""
    rng = random.Random(f"{seed}/workload")
    orders: dict[str, list[Order]] = {f"d-{number:03}": [] for number in range(dispensers)}
    said = {}
    for number in range(jobs):
        device = f"d-{number % dispensers:03}"
        items = [(flask, rng.randint(50, 500)) for flask in range(1, FLASKS + 1)]
        order = Order(f"01JD{number:022d}", device, items)
        orders[device].append(order)
        said[order.job] = _said(order, len(orders[device]), rng)
    return Workload(orders, said)


def fill(database: Database, work: Workload) -> dict[str, str]:
    """Claim the dispensers and write every job as offered. Returns the dispensers' passwords."""
    flasks = [FlaskSetup(flask, "Salt", START_MG, START_MG) for flask in range(1, FLASKS + 1)]
    passwords = {
        name: devices.claim(database, name, name=name, flasks=flasks, now_ms=NOW_MS, by="chaos") for name in work.orders
    }
    reserved: Counter[tuple[str, int]] = Counter()
    jobs, items = [], []
    offered = {"state": "offered", "rank": 1, "epoch": EPOCH, "placed_at_ms": NOW_MS, "placed_by": "chaos"}
    for device, orders in work.orders.items():
        for seq, order in enumerate(orders, 1):
            jobs.append({**offered, "job": order.job, "device": device, "seq": seq})
            for number, (flask, target_mg) in enumerate(order.items):
                items.append({"job": order.job, "item": number, "flask": flask, "target_mg": target_mg})
                reserved[device, flask] += target_mg
    holds = tables.flask
    with database.write() as tx:
        tx.execute(update(tables.device).values(epoch=EPOCH, next_seq=10**6))
        tx.execute(insert(tables.job), jobs)
        tx.execute(insert(tables.job_item), items)
        for (device, number), amount_mg in reserved.items():
            own = (holds.c.device == device) & (holds.c.flask == number)
            tx.execute(update(holds).where(own).values(reserved_mg=amount_mg))
    return passwords


def tables_of(database: Database) -> Tables:
    """What the ledger says, in the oracle's form. A second movement of one item shows as a row of its own."""
    found = Tables()
    with database.read() as tx:
        found.jobs = {row.job: row.state for row in tx.execute(text("SELECT job, state FROM job"))}
        for row in tx.execute(text("SELECT job, item, state, dispensed_mg FROM job_item")):
            found.items[row.job, row.item] = (row.state, row.dispensed_mg)
        for row in tx.execute(text("SELECT * FROM stock_movement WHERE job IS NOT NULL ORDER BY id")):
            key = (row.job, row.item)
            key = (f"{row.job} again", row.item) if key in found.movements else key
            found.movements[key] = (row.device, row.flask, row.kind, row.delta_mg)
        for row in tx.execute(text("SELECT device, flask, stock_mg, reserved_mg FROM flask")):
            found.flasks[row.device, row.flask] = (row.stock_mg, row.reserved_mg)
    return found


def ended(database: Database) -> set[str]:
    """The jobs that the ledger says have ended by their dispenser's word."""
    with database.read() as tx:
        return set(tx.execute(text("SELECT job FROM job WHERE rank = 4")).scalars())


def _said(order: Order, seq: int, rng: random.Random) -> list[Said]:
    common: dict[str, Any] = {"job": order.job, "seq": seq, "epoch": EPOCH, "boot": 1, "ms": 5}
    messages, reports = [], []
    for number, (flask, target_mg) in enumerate(order.items):
        end = _end(target_mg, rng)
        topic = topics.PROGRESS.topic(order.device, flask)
        states: Sequence[dict[str, Any]] = (
            {"state": "dispensing", "dispensed_mg": None, "duration_ms": None, "error": None},
            end,
        )
        for state in states:
            record = ItemProgressed(**common, item=number, target_mg=target_mg, **state)
            messages += [(topic, codec.encode(record))] * (2 if rng.randrange(1000) < _TWICE else 1)
        reports.append(ItemReport(item=number, flask=flask, target_mg=target_mg, **end))
    outcome = job_outcome([report.state for report in reports])
    completion = codec.encode(JobCompleted(**common, state=outcome, items=tuple(reports)))
    return [*messages, (topics.COMPLETION.topic(order.device), completion)]


def _end(target_mg: int, rng: random.Random) -> dict[str, Any]:
    ticket = rng.randrange(1000)
    if ticket < _IN_DOUBT:
        return {"state": "in_doubt", "dispensed_mg": None, "duration_ms": None, "error": "interrupted"}
    if ticket < _IN_DOUBT + _FAILED:
        return {"state": "failed", "dispensed_mg": rng.randint(0, target_mg), "duration_ms": 10, "error": "jammed"}
    return {"state": "done", "dispensed_mg": target_mg + rng.randint(-5, 5), "duration_ms": 100, "error": None}
