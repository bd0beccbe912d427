"""One dispenser, the whole ledger behind it, virtual time, and backups that are restored in the middle of it all."""

import random
from pathlib import Path
from typing import Any

from sqlalchemy import event, select

from firmware.core import slots
from firmware.core.ports import OpenFlask
from protocol import codec, topics
from protocol.messages import JobAccepted, JobCompleted
from services.devices import FlaskSetup, claim
from services.ledger import backups, outbox, restored, tables
from services.ledger.audit import audit
from services.ledger.database import Database
from services.ledger.settle import Incoming, settle
from services.orders import OrderedItem, cancel, place
from tests.firmware.bench import Bench
from tests.firmware.broker import DEVICE, Sent

# Between two looks of the services.
STEP_MS = 250

# A request reaches the dispenser, and the flash write that was under way then ends.
ON_ITS_WAY_MS = 50

FLASKS = 3
STOCK_MG = 900_000_000

# A milligram takes a tenth of a millisecond, so every amount of a run can be another one.
FLOW_MG_PER_S = 10_000


class Restoring:
    """The house in a directory. `step` lets time pass; `back_up` and `restore` do it to the ledger only."""

    def __init__(self, directory: Path, seed: int) -> None:
        self.random = random.Random(seed)
        self.directory = directory
        self.url = f"sqlite:///{directory / 'ledger.db'}"
        self.now_ms = 1_800_000_000_000
        self.bench = Bench(seed)
        self.bench.receipts = False
        self.bench.broker.on_message = self._heard
        self.arrived: list[Incoming] = []
        self.ran: dict[int, str] = {}
        self.reports: dict[str, JobCompleted] = {}
        self.placed = 0
        self.amount_mg = 1000
        # What the dispenser held when it was first asked since the last restore.
        self.held_when_asked: set[str] | None = None
        self._database: Database | None = None
        self._started_ms = 0
        self.database.migrate()
        flasks = [FlaskSetup(n, f"spice {n}", STOCK_MG, STOCK_MG, FLOW_MG_PER_S) for n in range(1, FLASKS + 1)]
        claim(self.database, DEVICE, name="bench", flasks=flasks, now_ms=self.now_ms, by="ana")
        self.bench.boot()
        self.run_until(lambda: self.row(tables.device)["online"] and self.row(tables.device)["config_version"] == 1)

    @property
    def database(self) -> Database:
        if self._database is None:
            self._database = Database(self.url)
            # Only the crash of the machine would lose what was committed.
            event.listen(self._database.engine, "connect", lambda one, _: one.execute("PRAGMA synchronous=OFF"))
        return self._database

    def close(self) -> None:
        self.database.close()
        self._database = None

    # What people do.

    def order(self) -> None:
        """One to three items, each an amount that no other item has."""
        items = []
        for _ in range(self.random.randint(1, 3)):
            self.amount_mg += 10
            items.append(OrderedItem(self.random.randint(1, FLASKS), self.amount_mg))
        self.placed += 1
        place(self.database, device=DEVICE, items=items, now_ms=self.now_ms, job_id=f"j{self.placed}", by="ana")

    def cancel(self) -> None:
        """Cancel a job that has not ended, if there is one."""
        jobs = sorted(self.open_jobs())
        if jobs:
            cancel(self.database, self.random.choice(jobs), by="ana", now_ms=self.now_ms)

    def cut_power(self) -> None:
        self.bench.cut_power()
        self.bench.boot("brownout")

    def back_up(self, name: str) -> Path:
        file = self.directory / name
        backups.backup(self.url, file, overwrite=True)
        return file

    def restore(self, file: Path) -> None:
        """As an operator does: the services stop, the backup is restored, they start. The broker is what it was."""
        self.held_when_asked = None
        self.close()
        _, found = backups.restore(self.url, file, overwrite=True)
        assert found.problems == []
        retained = [Incoming(topic, payload) for topic, payload in sorted(self.bench.broker.retained.items())]
        ours = [one for one in retained if topics.parse(one.topic)[1].sender == topics.DEVICE_ROLE]
        self.random.shuffle(ours)
        self.arrived += ours
        if self.random.random() < 0.5:
            self._dispatch()

    # What the services do.

    def step(self) -> None:
        self.now_ms += STEP_MS
        self.bench.run(limit_ms=STEP_MS)
        if self.arrived:
            batch, self.arrived = self.arrived, []
            with self.database.write() as tx:
                settled = settle(tx, batch, self.now_ms)
            for _, receipt in settled.receipts:
                self.bench.deliver("receipt", receipt)
        with self.database.read() as tx:
            is_due = restored.is_due(tx, self.now_ms)
        if is_due:
            with self.database.write() as tx:
                requests = restored.ask(tx, self.now_ms)
            held = self.held()
            for _, request in requests:
                self.bench.deliver("resend", request)
            if requests and self.held_when_asked is None:
                # A report whose slot was being given to another while the request was on its way is not held.
                self.bench.run(limit_ms=ON_ITS_WAY_MS)
                self.held_when_asked = held & self.held()
        self._dispatch()

    def run_until(self, condition: Any, limit_ms: int = 400_000) -> None:
        end_ms = self.now_ms + limit_ms
        while not condition():
            assert self.now_ms < end_ms, (self.open_jobs(), self.row(tables.device))
            self.step()

    def converge(self) -> None:
        self.run_until(self.is_quiet)

    def is_quiet(self) -> bool:
        device = self.row(tables.device)
        status = self.bench.status()
        return not (
            self.open_jobs()
            or self.arrived
            or device["resend_left"]
            or status.job
            or status.receipted_seq != status.last_seq
            or device["receipted_seq"] != status.last_seq
        )

    def _dispatch(self) -> None:
        with self.database.write() as tx:
            messages = outbox.due(tx, self.now_ms)
        for one in messages:
            self.bench.deliver(one.channel.name, one.message)

    def _heard(self, sent: Sent) -> None:
        record = sent.record
        self.arrived.append(Incoming(sent.topic, codec.encode(record)))
        if isinstance(record, JobAccepted) and record.refusal is None:
            assert self.ran.setdefault(record.seq, record.job) == record.job, "a number was used twice"
        if isinstance(record, JobCompleted):
            assert self.ran.setdefault(record.seq, record.job) == record.job, "a number was used twice"
            self.reports[record.job] = record

    # What is true.

    def held(self) -> set[str]:
        """The jobs whose completions are in the dispenser's flash now, and the one in hand."""
        found = set()
        for name in slots.DONE:
            body = slots.unseal(self.bench.flash.get(name))
            if body is not None:
                found.add(codec.decode(JobCompleted, body).job)
        in_hand = self.bench.status().job
        return found | ({in_hand} if in_hand else set())

    def row(self, table: Any) -> dict[str, Any]:
        with self.database.read() as tx:
            return dict(tx.execute(select(table)).mappings().one())

    def rows(self, table: Any) -> list[dict[str, Any]]:
        with self.database.read() as tx:
            return [dict(row) for row in tx.execute(select(table)).mappings()]

    def open_jobs(self) -> list[str]:
        with self.database.read() as tx:
            return list(tx.execute(select(tables.job.c.job).where(tables.job.c.rank < 3)).scalars())

    def check(self, held: set[str]) -> None:
        """The ledger is whole, no flask gave the same item twice, and whatever the dispenser held is debited."""
        with self.database.read() as tx:
            assert audit(tx).problems == []
        opened = [order.open_ms for order in self.bench.orders if isinstance(order, OpenFlask)]
        assert len(opened) == len(set(opened)), "a flask was opened twice for the same item"
        items = {(row["job"], row["item"]): row for row in self.rows(tables.job_item)}
        moved = {(row["job"], row["item"]): -row["delta_mg"] for row in self.rows(tables.stock_movement) if row["job"]}
        for job in held:
            for report in self.reports[job].items:
                item = items[job, report.item]
                assert (item["state"], item["dispensed_mg"]) == (report.state, report.dispensed_mg), (job, item)
                assert moved.get((job, report.item), 0) == (report.dispensed_mg or 0)
