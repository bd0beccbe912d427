"""A shop floor in the ledger: claimed dispensers, placed and offered jobs, and the messages that come back."""

import itertools
from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import delete, insert, select, update

from protocol import codec, topics
from protocol.fields import Record
from protocol.messages import ItemProgressed, ItemReport, JobAccepted, JobCompleted, StatusReported, TelemetryReported
from protocol.states import job_outcome
from services.ledger import stock, tables
from services.ledger.audit import audit
from services.ledger.database import Database
from services.ledger.settle import Incoming, Settled, settle

NOW_MS = 1_800_000_000_000
EPOCH = "aaaaaaaa"

# Columns that tell when something was written, in which order or how often: not part of what is true.
_INCIDENTAL = {"id", "at_ms", "last_at_ms", "seen_at_ms", "accepted_at_ms", "ended_at_ms", "telemetry_at_ms"}
_INCIDENTAL |= {"first_seen_at_ms", "times"}
# How often a flask changed: once more where the server ended an item of which the dispenser then told.
_INCIDENTAL |= {"revision"}


class Floor:
    """Dispenser `d-1` (more by `claim`), flasks 1 to 4 with 1 kg each, known by the epoch `EPOCH`."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.now_ms = NOW_MS
        self.claim("d-1")

    def claim(self, device: str, flasks: int = 4) -> None:
        with self.database.write() as tx:
            tx.execute(insert(tables.device).values(device=device, name=device, claimed_at_ms=NOW_MS))
            tx.execute(update(tables.device).where(tables.device.c.device == device).values(epoch=EPOCH))
            tx.execute(insert(tables.device_epoch).values(device=device, epoch=EPOCH, first_seen_at_ms=NOW_MS))
            for flask in range(1, flasks + 1):
                tx.execute(
                    insert(tables.flask).values(
                        device=device, flask=flask, ingredient=f"spice {flask}", capacity_mg=2_000_000
                    )
                )
                stock.refill(tx, device, flask, 1_000_000, by="test", now_ms=NOW_MS)

    def place(self, job: str, items: Sequence[tuple[int, int]], device: str = "d-1") -> None:
        with self.database.write() as tx:
            tx.execute(insert(tables.job).values(job=job, device=device, placed_at_ms=NOW_MS, placed_by="test"))
            for item, (flask, target_mg) in enumerate(items):
                tx.execute(
                    insert(tables.job_item).values(
                        job=job, item=item, flask=flask, ingredient=f"spice {flask}", target_mg=target_mg
                    )
                )
                row = tables.flask
                tx.execute(
                    update(row)
                    .where(row.c.device == device, row.c.flask == flask)
                    .values(reserved_mg=row.c.reserved_mg + target_mg, revision=row.c.revision + 1)
                )

    def offer(
        self, job: str, items: Sequence[tuple[int, int]], seq: int = 1, device: str = "d-1", epoch: str = EPOCH
    ) -> None:
        """Place and offer at once."""
        self.place(job, items, device)
        with self.database.write() as tx:
            offered = {"state": "offered", "rank": 1, "seq": seq, "epoch": epoch}
            tx.execute(update(tables.job).where(tables.job.c.job == job).values(offered))
            numbered = update(tables.device).where(tables.device.c.device == device, tables.device.c.next_seq <= seq)
            tx.execute(numbered.values(next_seq=seq + 1))

    def end_by_server(self, job: str, state: str = "cancelled") -> None:
        """As orders does when a job is cancelled, or expires, before the dispenser says anything."""
        with self.database.write() as tx:
            for row in tx.execute(
                select(tables.job_item, tables.job.c.device).join(tables.job).where(tables.job_item.c.job == job)
            ).all():
                flask = tables.flask
                tx.execute(
                    update(flask)
                    .where(flask.c.device == row.device, flask.c.flask == row.flask)
                    .values(reserved_mg=flask.c.reserved_mg - row.target_mg, revision=flask.c.revision + 1)
                )
            tx.execute(update(tables.job_item).where(tables.job_item.c.job == job).values(state="skipped", rank=2))
            tx.execute(update(tables.job).where(tables.job.c.job == job).values(state=state, rank=3))

    def settle(self, *batch: Incoming) -> Settled:
        self.now_ms += 10
        with self.database.write() as tx:
            settled = settle(tx, batch, self.now_ms)
        with self.database.read() as tx:
            found = audit(tx)
        assert found.problems == []
        assert found.divergences == 0
        return settled

    def rows(self, table: str) -> list[dict[str, Any]]:
        selected = tables.METADATA.tables[table]
        with self.database.read() as tx:
            found = tx.execute(select(selected).order_by(*selected.primary_key.columns)).mappings().all()
        return [dict(row) for row in found]

    def row(self, table: str, **key: Any) -> dict[str, Any]:
        (found,) = [row for row in self.rows(table) if all(row[name] == value for name, value in key.items())]
        return found

    def truth(self) -> list[str]:
        """Every row of every table without what is incidental, a line each, in an order of its content."""
        return sorted(
            f"{name}: " + ", ".join(f"{key}={value}" for key, value in row.items() if key not in _INCIDENTAL)
            for name in tables.METADATA.tables
            if name != "flip"
            for row in self.rows(name)
        )

    def check_flips(self) -> None:
        """The flips of each job and item join up, from its first state to the one it is in."""
        now: dict[tuple[str, int], str] = {(row["job"], -1): row["state"] for row in self.rows("job")}
        now |= {(row["job"], row["item"]): row["state"] for row in self.rows("job_item")}
        chains: dict[tuple[str, int], list[dict[str, Any]]] = {}
        for flip in sorted(self.rows("flip"), key=lambda row: (row["at_ms"], row["rank"])):
            chains.setdefault((flip["job"], flip["item"]), []).append(flip)
        for key, chain in chains.items():
            for before, after in itertools.pairwise(chain):
                assert before["to_state"] == after["from_state"], (key, chain)
            assert chain[-1]["to_state"] == now[key], (key, chain)

    def clear(self) -> None:
        """An empty ledger again, with `d-1` claimed."""
        with self.database.write() as tx:
            for table in reversed(tables.METADATA.sorted_tables):
                tx.execute(delete(table))
        self.now_ms = NOW_MS
        self.claim("d-1")

    # What dispensers send

    def message(
        self, channel: topics.Channel, record: Record, device: str = "d-1", flask: int | None = None
    ) -> Incoming:
        return Incoming(channel.topic(device, flask), codec.encode(record))

    def accepted(self, job: str, seq: int = 1, refusal: str | None = None, ms: int = 1, **other: Any) -> Incoming:
        record = JobAccepted(job=job, seq=seq, refusal=refusal, epoch=other.pop("epoch", EPOCH), boot=1, ms=ms)
        return self.message(topics.ACCEPT, record, **other)

    def progressed(
        self,
        job: str,
        item: int,
        flask: int,
        target_mg: int,
        state: str = "done",
        dispensed_mg: int | None = None,
        error: str | None = None,
        seq: int = 1,
        device: str = "d-1",
        epoch: str = EPOCH,
    ) -> Incoming:
        values = _outcome(state, target_mg, dispensed_mg)
        record = ItemProgressed(
            job=job,
            seq=seq,
            item=item,
            state=state,
            target_mg=target_mg,
            error=error,
            epoch=epoch,
            boot=1,
            ms=5,
            **values,
        )
        return self.message(topics.PROGRESS, record, device, flask)

    def report(
        self,
        item: int,
        flask: int,
        target_mg: int,
        state: str = "done",
        dispensed_mg: int | None = None,
        error: str | None = None,
    ) -> ItemReport:
        values = _outcome(state, target_mg, dispensed_mg)
        return ItemReport(item=item, flask=flask, target_mg=target_mg, state=state, error=error, **values)

    def completed(
        self, job: str, *reports: ItemReport, seq: int = 1, device: str = "d-1", epoch: str = EPOCH
    ) -> Incoming:
        state = job_outcome([report.state for report in reports])
        record = JobCompleted(job=job, seq=seq, state=state, items=reports, epoch=epoch, boot=1, ms=9)
        return self.message(topics.COMPLETION, record, device)

    def status(self, online: bool = True, device: str = "d-1", **values: Any) -> Incoming:
        given = {"epoch": EPOCH, "boot": 1, "connection": 1, "ms": 1, "firmware": "1.0.0", "reset_cause": "power_on"}
        given |= {"config_version": 0, "job": None, "last_seq": 0, "receipted_seq": 0, "fault": None}
        return self.message(topics.STATUS, StatusReported(**{"online": online, **given, **values}), device)

    def telemetry(self, device: str = "d-1", **values: Any) -> Incoming:
        given: dict[str, int | None] = {
            "rssi_dbm": -60,
            "free_heap_bytes": 90_000,
            "uptime_ms": 5000,
            "reconnects": 0,
            "outage_ms": 0,
        }
        given |= {"flash_writes": 3, "round_trip_ms": None}
        return self.message(topics.TELEMETRY, TelemetryReported(**{**given, **values}), device)


def _outcome(state: str, target_mg: int, dispensed_mg: int | None) -> dict[str, int | None]:
    if state == "done":
        return {"dispensed_mg": target_mg if dispensed_mg is None else dispensed_mg, "duration_ms": 1000}
    if state == "failed":
        return {"dispensed_mg": dispensed_mg or 0, "duration_ms": 500}
    return {"dispensed_mg": 0 if state == "skipped" else None, "duration_ms": 0 if state == "skipped" else None}


@pytest.fixture
def floor(database: Database) -> Floor:
    return Floor(database)
