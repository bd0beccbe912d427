"""Whether ingest stays as fast with 10 M stock movements in the ledger as with 100,000. One JSON line.

`make bench ARGS="ingest-scale --json"`. Both ledgers run in the same run, one after the other and twice, and drain the
same backlog; the history is of ended jobs of the same flasks, loaded by the database itself.
"""

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
from pathlib import Path

from sqlalchemy import text

from pitada.local.postgresql import LocalPostgresql
from services.ledger.database import Database
from tests.benchmarks.backlog import FLASKS, MESSAGES_PER_JOB, Work, fill
from tests.benchmarks.bench_ingest import DEVICES, broker, drained, leave, machine
from tests.benchmarks.ingesting import Asked

# Their ids sort before those of the backlog, as ULIDs of the past do.
_HISTORY = text(
    """
    INSERT INTO stock_movement (device, flask, kind, delta_mg, job, item, at_ms, note)
    SELECT 'd-' || lpad((number / :flasks % :devices)::text, 4, '0'), number % :flasks + 1, 'dispense', -100,
           '01JC' || lpad((number / :flasks)::text, 22, '0'), number % :flasks, 1700000000000 + number, ''
    FROM generate_series(0, :movements - 1) AS number
    """
)


def main(arguments: list[str]) -> None:
    """Prints the line of JSON."""
    parser = argparse.ArgumentParser(prog="make bench ARGS=ingest-scale", description=__doc__)
    parser.add_argument("--messages", type=int, default=60_000, help="of each drain")
    parser.add_argument("--few", type=int, default=100_000)
    parser.add_argument("--many", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args(arguments)
    rates: dict[int, list[float]] = {asked.few: [], asked.many: []}
    with tempfile.TemporaryDirectory(prefix="pitada-bench-", ignore_cleanup_errors=True) as folder:
        few, many = Path(folder) / "few", Path(folder) / "many"
        Path(folder).chmod(0o755)  # PostgreSQL, another user, passes through
        with LocalPostgresql(few) as small, LocalPostgresql(many) as large:
            ledgers = {asked.few: Database(small.url), asked.many: Database(large.url)}
            jobs = asked.messages // MESSAGES_PER_JOB
            for movements, database in ledgers.items():
                _load(database, movements, jobs * asked.rounds)
            for turn in range(asked.rounds):
                for movements, database in ledgers.items():
                    rates[movements].append(_rate(database, Work(turn * jobs, jobs, DEVICES)))
            for database in ledgers.values():
                database.close()
    few_rate, many_rate = (statistics.median(rates[count]) for count in (asked.few, asked.many))
    figures = {
        "benchmark": "ingest-scale",
        "machine": machine(),
        "messages": asked.messages,
        "few_movements": asked.few,
        "many_movements": asked.many,
        "few_per_s": round(few_rate),
        "many_per_s": round(many_rate),
        "rate_ratio": round(many_rate / few_rate, 2),
        "each_few": [round(rate) for rate in rates[asked.few]],
        "each_many": [round(rate) for rate in rates[asked.many]],
    }
    sys.stdout.write(json.dumps(figures) + "\n")


def _load(database: Database, movements: int, jobs: int) -> None:
    database.migrate()
    fill(database, jobs, DEVICES)
    with database.write() as tx:
        tx.execute(_HISTORY, {"movements": movements, "devices": DEVICES, "flasks": FLASKS})
    # As a ledger that grew over months is: its pages written, its statistics known.
    with database.engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql("VACUUM ANALYZE")
        connection.exec_driver_sql("CHECKPOINT")


def _rate(database: Database, work: Work) -> float:
    with broker() as port:
        asyncio.run(leave(port, work, "svc_ingest"))
        done = drained(Asked(database.url, port, work.messages))
    return done.acknowledged / done.took_s
