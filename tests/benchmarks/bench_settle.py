"""How many messages a second `settle` takes, alone: no broker. One JSON line.

`python tests/benchmarks/bench_settle.py [--messages 20000] [--devices 1000] [--databases sqlite postgresql]`
Each job: four flasks, a dispensing and a done for each, and the completion. fsync and synchronous commits are on.
"""

import argparse
import gc
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import insert

from pitada.local.postgresql import LocalPostgresql
from protocol import codec, topics
from protocol.messages import ItemProgressed, ItemReport, JobCompleted
from services.ledger import tables
from services.ledger.audit import audit
from services.ledger.database import Database
from services.ledger.settle import Incoming, settle

EPOCH = "aaaaaaaa"
FLASKS = 4
MESSAGES_PER_JOB = 2 * FLASKS + 1
NOW_MS = 1_800_000_000_000

# Batches of one are so much slower that a part tells the rate.
SINGLE_SHARE = 40


def main(args: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--devices", type=int, default=1000)
    parser.add_argument("--batch", type=int, default=500)
    parser.add_argument("--databases", nargs="+", default=["sqlite", "postgresql"])
    asked = parser.parse_args(args)
    figures = {"messages": asked.messages, "devices": asked.devices, "batch": asked.batch}
    for kind in asked.databases:
        figures |= measure(kind, asked.messages, asked.devices, asked.batch)
    sys.stdout.write(json.dumps(figures) + "\n")


def measure(kind: str, messages: int, devices: int, batch: int) -> dict[str, int]:
    """Rates in batches and one by one, on a fresh database of that kind."""
    jobs = messages // MESSAGES_PER_JOB
    with database_of(kind) as database:
        _fill(database, jobs + jobs // SINGLE_SHARE + 1, devices)
        batched = _rate(database, _backlog(0, jobs, devices), batch)
        single = _rate(database, _backlog(jobs, jobs // SINGLE_SHARE + 1, devices), 1)
        with database.read() as tx:
            divergences = audit(tx).divergences
    return {f"{kind}_per_s": batched, f"{kind}_single_per_s": single, f"{kind}_divergences": divergences}


@contextmanager
def database_of(kind: str) -> Iterator[Database]:
    """A fresh database of that kind, gone after the block."""
    with tempfile.TemporaryDirectory(prefix="pitada-bench-", ignore_cleanup_errors=True) as folder:
        if kind == "sqlite":
            database = Database(f"sqlite:///{folder}/ledger.db")
            database.migrate()
            yield database
            database.close()
            return
        with LocalPostgresql(Path(folder)) as server:
            database = Database(server.url)
            database.migrate()
            yield database
            database.close()


def _fill(database: Database, jobs: int, devices: int) -> None:
    names = [f"d-{number}" for number in range(devices)]
    with database.write() as tx:
        tx.execute(
            insert(tables.device),
            [{"device": name, "name": name, "claimed_at_ms": 0, "epoch": EPOCH, "next_seq": 10**6} for name in names],
        )
        flasks = range(1, FLASKS + 1)
        row = {"ingredient": "salt", "capacity_mg": 10**6, "reserved_mg": 0}
        placed = [sum(1 for job in range(jobs) if job % devices == number) for number in range(devices)]
        tx.execute(
            insert(tables.flask),
            [
                {**row, "device": name, "flask": flask, "reserved_mg": placed[number] * 100}
                for number, name in enumerate(names)
                for flask in flasks
            ],
        )
        offered = {"state": "offered", "rank": 1, "epoch": EPOCH, "placed_at_ms": NOW_MS, "placed_by": "bench"}
        tx.execute(
            insert(tables.job),
            [{**offered, "job": _job(job), "device": names[job % devices], "seq": job + 1} for job in range(jobs)],
        )
        tx.execute(
            insert(tables.job_item),
            [
                {"job": _job(job), "item": flask - 1, "flask": flask, "ingredient": "salt", "target_mg": 100}
                for job in range(jobs)
                for flask in flasks
            ],
        )


def _job(number: int) -> str:
    return f"01JD{number:022d}"


def _backlog(first: int, jobs: int, devices: int) -> list[Incoming]:
    """The messages as a broker would hand them out: the dispensers work side by side."""
    backlog: list[Incoming] = []
    for start in range(first, first + jobs, devices):
        sent = [_messages(job, devices) for job in range(start, min(start + devices, first + jobs))]
        backlog += [message for step in zip(*sent, strict=True) for message in step]
    return backlog


def _messages(job: int, devices: int) -> list[Incoming]:
    device = f"d-{job % devices}"
    common: dict[str, Any] = {"job": _job(job), "seq": job + 1, "epoch": EPOCH, "boot": 1, "ms": 5}
    messages = []
    for flask in range(1, FLASKS + 1):
        for state, amount in (("dispensing", None), ("done", 100)):
            record = ItemProgressed(
                **common,
                item=flask - 1,
                state=state,
                target_mg=100,
                dispensed_mg=amount,
                duration_ms=None if amount is None else 1000,
                error=None,
            )
            messages.append(Incoming(topics.PROGRESS.topic(device, flask), codec.encode(record)))
    reports = tuple(
        ItemReport(
            item=item, flask=item + 1, state="done", target_mg=100, dispensed_mg=100, duration_ms=1000, error=None
        )
        for item in range(FLASKS)
    )
    messages.append(
        Incoming(topics.COMPLETION.topic(device), codec.encode(JobCompleted(**common, state="done", items=reports)))
    )
    return messages


def _rate(database: Database, backlog: Sequence[Incoming], batch: int) -> int:
    gc.collect()
    gc.freeze()  # the backlog is the benchmark's: in service it waits in the broker, and no collection walks it
    began = time.perf_counter()
    for start in range(0, len(backlog), batch):
        with database.write() as tx:
            settle(tx, backlog[start : start + batch], NOW_MS + start)
    return round(len(backlog) / (time.perf_counter() - began))


if __name__ == "__main__":
    main()
