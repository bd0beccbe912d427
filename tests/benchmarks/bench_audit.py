"""How long `pitada audit` takes on a ledger of a million movements. One JSON line; promised: 30 s at most.

`make bench ARGS="audit [--movements 1000000] [--devices 1000] [--databases sqlite postgresql]"`
Jobs of four done items each, with their flips, loaded by one statement a table; fsync is on.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence

from sqlalchemy import text

from services.ledger.audit import audit
from services.ledger.database import Database
from tests.benchmarks.bench_settle import database_of

FLASKS = 4

# A recursive count is the one way to many rows from nothing that both databases know.
_NUMBERS = "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < :rows) "
_LOAD = (
    (
        "devices",
        "INSERT INTO device (device, name, claimed_at_ms, claimed_by, boot, connection, status_ms, online, firmware, "
        "reset_cause, config_version, last_seq, receipted_seq, next_seq, desired_config_version) ",
        "SELECT 'd-' || i, 'd', 0, '', 0, 0, 0, false, '', '', 0, 0, 0, 1, 0 FROM n",
    ),
    (
        "flasks",
        "INSERT INTO flask (device, flask, ingredient, capacity_mg, stock_mg, reserved_mg, revision, low_mg, "
        "flow_mg_per_s, max_open_ms, channel, closed_us, open_us, settle_ms) ",
        "SELECT 'd-' || (i / 4), i % 4 + 1, 'salt', 1000000, 0, 0, 0, 0, 1, 60000, 0, 1000, 2000, 0 FROM n",
    ),
    (
        "jobs",
        "INSERT INTO job (job, device, state, rank, says, seq, epoch, placed_at_ms, placed_by, ended_at_ms) ",
        "SELECT 'job-' || i, 'd-' || (i % :devices), 'done', 4, 'device', i + 1, 'aaaaaaaa', i, 'bench', i FROM n",
    ),
    (
        "items",
        "INSERT INTO job_item (job, item, flask, ingredient, target_mg, state, rank, says, dispensed_mg, duration_ms) ",
        "SELECT 'job-' || (i / 4), i % 4, i % 4 + 1, 'salt', 100, 'done', 3, 'device', 100, 900 FROM n",
    ),
    (
        "items",
        "INSERT INTO stock_movement (device, flask, kind, delta_mg, job, item, at_ms, note) ",
        "SELECT 'd-' || (i / 4 % :devices), i % 4 + 1, 'dispense', -100, 'job-' || (i / 4), i % 4, i, '' FROM n",
    ),
    (
        "items",
        "INSERT INTO flip (job, item, rank, to_state, from_state, says, reason, at_ms) ",
        "SELECT 'job-' || (i / 4), i % 4, 3, 'done', 'pending', 'device', 'it gave its amount', i FROM n",
    ),
)
_SUM_UP = (
    "UPDATE flask SET stock_mg = coalesce((SELECT sum(delta_mg) FROM stock_movement AS m "
    "WHERE m.device = flask.device AND m.flask = flask.flask), 0)"
)


def main(args: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--movements", type=int, default=1_000_000)
    parser.add_argument("--devices", type=int, default=1000)
    parser.add_argument("--databases", nargs="+", default=["sqlite", "postgresql"])
    asked = parser.parse_args(args)
    figures: dict[str, float] = {"movements": asked.movements, "devices": asked.devices}
    for kind in asked.databases:
        figures |= measure(kind, asked.movements, asked.devices)
    sys.stdout.write(json.dumps(figures) + "\n")


def measure(kind: str, movements: int, devices: int) -> dict[str, float]:
    """Seconds of an audit that finds a whole ledger, and of one that finds every flask wrong."""
    with database_of(kind) as database:
        load(database, movements // FLASKS, devices)
        whole_s, divergences = _time(database, movements // FLASKS * FLASKS)
        with database.write() as tx:
            tx.execute(text("UPDATE flask SET stock_mg = stock_mg - 1"))
        broken_s, found = _time(database, movements // FLASKS * FLASKS)
    if (divergences, found) != (0, devices * FLASKS):
        raise SystemExit(f"the audit found {divergences} divergences in a whole ledger, {found} in a broken one")
    return {f"{kind}_s": round(whole_s, 2), f"{kind}_broken_s": round(broken_s, 2)}


def load(database: Database, jobs: int, devices: int) -> None:
    """Fill an empty ledger with ended jobs, spread over the dispensers."""
    rows = {"devices": devices, "flasks": devices * FLASKS, "jobs": jobs, "items": jobs * FLASKS}
    with database.write() as tx:
        for of, into, chosen in _LOAD:
            given = {"rows": rows[of], **({"devices": devices} if ":devices" in chosen else {})}
            tx.execute(text(into + _NUMBERS + chosen), given)
        tx.execute(text(_SUM_UP))


def _time(database: Database, movements: int) -> tuple[float, int]:
    began = time.perf_counter()
    with database.read() as tx:
        found = audit(tx)
    took_s = time.perf_counter() - began
    if (found.movements, found.items_done) != (movements, movements):
        raise SystemExit(f"the audit saw {found.movements} movements of {movements}")
    return took_s, found.divergences


if __name__ == "__main__":
    main()
