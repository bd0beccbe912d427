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

from pitada.local.postgresql import LocalPostgresql
from services.ledger.audit import audit
from services.ledger.database import Database
from services.ledger.settle import Incoming, settle
from tests.benchmarks.backlog import MESSAGES_PER_JOB, NOW_MS, Work, backlog, fill

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
        singly = Work(jobs, jobs // SINGLE_SHARE + 1, devices)
        fill(database, jobs + singly.jobs, devices)
        batched = _rate(database, backlog(Work(0, jobs, devices)), batch)
        single = _rate(database, backlog(singly), 1)
        with database.read() as tx:
            divergences = audit(tx).divergences
    return {f"{kind}_per_s": batched, f"{kind}_single_per_s": single, f"{kind}_divergences": divergences}


@contextmanager
def database_of(kind: str) -> Iterator[Database]:
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


def _rate(database: Database, messages: Sequence[Incoming], batch: int) -> int:
    gc.collect()
    gc.freeze()  # the backlog is the benchmark's: in service it waits in the broker, and no collection walks it
    began = time.perf_counter()
    for start in range(0, len(messages), batch):
        with database.write() as tx:
            settle(tx, messages[start : start + batch], NOW_MS + start)
    return round(len(messages) / (time.perf_counter() - began))


if __name__ == "__main__":
    main()
