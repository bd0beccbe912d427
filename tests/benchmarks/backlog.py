"""What a fleet leaves behind at the broker: jobs of four flasks, a dispensing and a done for each, then the completion.

The ledger that goes with it has every job offered. What was sent is the oracle that a drained ledger is held against.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, insert, select

from protocol import codec, topics
from protocol.messages import ItemProgressed, ItemReport, JobCompleted
from services.ledger import tables
from services.ledger.audit import audit
from services.ledger.database import Database
from services.ledger.settle import Incoming

EPOCH = "aaaaaaaa"
FLASKS = 4
MESSAGES_PER_JOB = 2 * FLASKS + 1
TARGET_MG = 100
NOW_MS = 1_800_000_000_000


@dataclass(frozen=True)
class Work:
    """Jobs `first` to `first + jobs`, dealt out to the dispensers in turn."""

    first: int
    jobs: int
    devices: int

    @property
    def messages(self) -> int:
        return self.jobs * MESSAGES_PER_JOB


@dataclass(frozen=True)
class Difference:
    """Between what was sent and what the ledger has, in items: never debited, debited more than once or wrongly."""

    lost: int
    duplicated: int


def device_name(number: int) -> str:
    return f"d-{number:04d}"


def job_id(number: int) -> str:
    return f"01JD{number:022d}"


def fill(database: Database, jobs: int, devices: int) -> None:
    """The dispensers, and that many jobs, each offered under its number."""
    names = [device_name(number) for number in range(devices)]
    with database.write() as tx:
        tx.execute(
            insert(tables.device),
            [{"device": name, "name": name, "claimed_at_ms": 0, "epoch": EPOCH, "next_seq": 10**6} for name in names],
        )
        row = {"ingredient": "salt", "capacity_mg": 10**6}
        tx.execute(
            insert(tables.flask),
            [
                {**row, "device": name, "flask": flask, "reserved_mg": len(range(number, jobs, devices)) * TARGET_MG}
                for number, name in enumerate(names)
                for flask in range(1, FLASKS + 1)
            ],
        )
        offered = {"state": "offered", "rank": 1, "epoch": EPOCH, "placed_at_ms": NOW_MS, "placed_by": "bench"}
        tx.execute(
            insert(tables.job),
            [{**offered, "job": job_id(job), "device": names[job % devices], "seq": job + 1} for job in range(jobs)],
        )
        tx.execute(
            insert(tables.job_item),
            [
                {"job": job_id(job), "item": flask - 1, "flask": flask, "ingredient": "salt", "target_mg": TARGET_MG}
                for job in range(jobs)
                for flask in range(1, FLASKS + 1)
            ],
        )


def backlog(work: Work) -> list[Incoming]:
    """The messages as a broker hands them out: the dispensers work side by side."""
    messages: list[Incoming] = []
    last = work.first + work.jobs
    for start in range(work.first, last, work.devices):
        sent = [job_messages(job, work.devices) for job in range(start, min(start + work.devices, last))]
        messages += [message for step in zip(*sent, strict=True) for message in step]
    return messages


def job_messages(job: int, devices: int) -> list[Incoming]:
    """Everything that a dispenser says of one job, in order."""
    device = device_name(job % devices)
    common: dict[str, Any] = {"job": job_id(job), "seq": job + 1, "epoch": EPOCH, "boot": 1, "ms": 5}
    messages = []
    for flask in range(1, FLASKS + 1):
        for state, amount_mg in (("dispensing", None), ("done", TARGET_MG)):
            record = ItemProgressed(
                **common,
                item=flask - 1,
                state=state,
                target_mg=TARGET_MG,
                dispensed_mg=amount_mg,
                duration_ms=None if amount_mg is None else 1000,
                error=None,
            )
            messages.append(Incoming(topics.PROGRESS.topic(device, flask), codec.encode(record)))
    ended: dict[str, Any] = {
        "state": "done", "target_mg": TARGET_MG, "dispensed_mg": TARGET_MG, "duration_ms": 1000, "error": None
    }  # fmt: skip
    reports = tuple(ItemReport(item=item, flask=item + 1, **ended) for item in range(FLASKS))
    completion = JobCompleted(**common, state="done", items=reports)
    messages.append(Incoming(topics.COMPLETION.topic(device), codec.encode(completion)))
    return messages


def compare(database: Database, done: Sequence[Work]) -> Difference:
    """The ledger against what was sent: every item of that work has one movement of its amount, and no other has."""
    sent = {
        (job_id(job), item)
        for work in done
        for job in range(work.first, work.first + work.jobs)
        for item in range(FLASKS)
    }
    movement = tables.stock_movement.c
    with database.read() as tx:
        rows = tx.execute(
            select(movement.job, movement.item, func.count(), func.sum(movement.delta_mg))
            .where(movement.job >= job_id(0))
            .group_by(movement.job, movement.item)
        ).all()
        divergences = audit(tx).divergences
    debited = {(job, item): (count, total) for job, item, count, total in rows}
    wrong = [key for key, amount in debited.items() if key not in sent or amount != (1, -TARGET_MG)]
    return Difference(len(sent - debited.keys()), len(wrong) + divergences)
