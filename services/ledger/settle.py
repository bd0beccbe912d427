"""Facts become ledger rows: one call is one batch, in one transaction, with a fixed number of statements.

Read every touched row once, decide in Python (`held`, `presence`), write what changed. Any order of the same messages,
each any number of times, over any cut into batches, ends in the same tables.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

from protocol.messages import (
    CompletionReceived,
    ItemProgressed,
    JobAccepted,
    JobCompleted,
    StatusReported,
    StockChanged,
    TelemetryReported,
)
from services.ledger import dead_letters, restored
from services.ledger.dead_letters import DeadLetter
from services.ledger.facts import Fact, Incoming, Read, Unreadable, dead, read
from services.ledger.held import FLASH_REPLACED, JOB_ENDED, JOB_RUNNING, HeldItem, HeldJob, Rejected
from services.ledger.presence import HeldDevice
from services.ledger.settle_sql import Statement, statements
from services.ledger.settle_writes import write

__all__ = ["Incoming", "Read", "Settled", "read", "settle", "settle_read"]


@dataclass(frozen=True, slots=True)
class Settled:
    """What to tell the dispensers and the screens, once the transaction is committed.

    receipts: (device, message) for each completion that is now kept: new, repeated, or as a dead letter.
    stock: (device, flask, message), one for each flask that moved.
    changed_jobs: the ids of jobs that changed, or an item of theirs. dead_letters: messages of this batch.
    """

    receipts: tuple[tuple[str, CompletionReceived], ...]
    stock: tuple[tuple[str, int, StockChanged], ...]
    changed_jobs: tuple[str, ...]
    dead_letters: int


def settle(tx: Connection, batch: Sequence[Incoming], now_ms: int) -> Settled:
    """Settle messages of any device, in any order; `now_ms` is the server's wall time for all of them.

    `tx` comes from `Database.write`. No message can make it fail: what does not fit is a dead letter.
    """
    return settle_read(tx, [read(incoming) for incoming in batch], now_ms)


def settle_read(tx: Connection, batch: Sequence[Read], now_ms: int) -> Settled:
    """As `settle`, of messages that were read before: reading them needs no transaction."""
    work = _Batch(tx, now_ms)
    facts = work.take(batch)
    work.hold(facts)
    for fact in facts:
        work.decide(fact)
    work.use_numbers()
    work.end_lost_jobs()
    for device in work.devices.values():
        device.answer_refusals()
    stock, changed = write(tx, work.devices.values(), work.jobs.values(), now_ms)
    dead_letters.keep(tx, work.letters, now_ms)
    receipts = tuple((device, receipt) for (device, *_), receipt in work.receipts.items())
    # Jobs and batch know each other; apart, they are gone at once and not when the collector comes by.
    work.jobs.clear()
    return Settled(receipts, stock, changed, len(work.letters))


@dataclass(slots=True)
class _Batch:
    tx: Connection
    now_ms: int
    devices: dict[str, HeldDevice] = field(default_factory=dict)
    jobs: dict[str, HeldJob] = field(default_factory=dict)
    letters: list[DeadLetter] = field(default_factory=list)
    receipts: dict[tuple[str, str, int, str], CompletionReceived] = field(default_factory=dict)
    # (device, epoch, seq) to the job that has it
    numbers: dict[tuple[str, str, int], str] = field(default_factory=dict)

    def take(self, batch: Sequence[Read]) -> list[Fact]:
        """The readable messages; the rest is a dead letter already."""
        facts = []
        for got in batch:
            if isinstance(got, Fact):
                facts.append(got)
            elif isinstance(got, Unreadable):
                self.letters.append(got.letter)
                if got.device is not None and got.receipt is not None:
                    self._receipt(got.device, got.receipt)
        return facts

    def hold(self, facts: Sequence[Fact]) -> None:
        """Lock and read every row that the facts can touch."""
        names = {fact.device for fact in facts} | {device for device, *_ in self.receipts}
        for row in self._rows("hold_devices", [(name,) for name in sorted(names)]):
            self.devices[row[0]] = HeldDevice(*row)
        # A receipt for a dispenser that nobody claimed would let it forget what it did.
        self.receipts = {key: receipt for key, receipt in self.receipts.items() if key[0] in self.devices}
        named = [
            fact.message for fact in facts if isinstance(fact.message, JobAccepted | ItemProgressed | JobCompleted)
        ]
        foreign = self._hold_epochs(facts)
        wanted = {message.job for message in named}
        wanted |= {job for (job,) in self._rows("open_jobs", [(name,) for name in sorted(foreign)])}
        wanted |= {job for (job,) in self._rows("unanswered_jobs", self._receipted(facts))}
        for row in self._rows("hold_jobs", [(job,) for job in sorted(wanted)]):
            self.jobs[row[0]] = HeldJob(self._taken, *row)
        self._hold_items(named, foreign)
        self._hold_numbers(named)

    def _hold_items(self, named: Sequence[JobAccepted | ItemProgressed | JobCompleted], foreign: set[str]) -> None:
        """Every item of the jobs that end, have ended or may be lost; of the others those that progressed."""
        whole = {message.job for message in named if isinstance(message, JobCompleted)}
        whole |= {job.job for job in self.jobs.values() if job.rank >= JOB_ENDED or job.device in foreign}
        some = {(message.job, message.item) for message in named if isinstance(message, ItemProgressed)}
        found = [
            *self._rows("all_items", [(job,) for job in sorted(whole)]),
            *self._rows("named_items", sorted(key for key in some if key[0] not in whole)),
        ]
        for row in found:
            self.jobs[row[0]].items[row[1]] = HeldItem(*row[1:])

    def _receipted(self, facts: Sequence[Fact]) -> list[tuple[str, int]]:
        """(dispenser, number) where a status says that up to a higher number than before nothing is left to report."""
        upto: dict[str, int] = {}
        for fact in facts:
            device = self.devices.get(fact.device)
            if device is None or not isinstance(fact.message, StatusReported):
                continue
            if fact.message.receipted_seq > max(device.receipted_seq, upto.get(fact.device, 0)):
                upto[fact.device] = fact.message.receipted_seq
        return sorted(upto.items())

    def _hold_epochs(self, facts: Sequence[Fact]) -> set[str]:
        """The dispensers of which a message names another flash store, each told the ones known before."""
        foreign: set[str] = set()
        for fact in facts:
            epoch = getattr(fact.message, "epoch", None)
            device = self.devices.get(fact.device)
            if device is not None and epoch is not None and epoch != device.epoch:
                foreign.add(fact.device)
        for name, epoch in self._rows("known_epochs", [(name,) for name in sorted(foreign)]):
            self.devices[name].known_epochs.add(epoch)
        return foreign

    def _hold_numbers(self, named: Iterable[JobAccepted | ItemProgressed | JobCompleted]) -> None:
        """Which job numbers are given already, where a job without one is reported under one."""
        asked = {
            (held.device, message.epoch, message.seq)
            for message in named
            if (held := self.jobs.get(message.job)) is not None and held.seq is None
        }
        for device, epoch, seq, job in self._rows("numbers", sorted(asked)):
            self.numbers[(device, epoch, seq)] = job

    def _taken(self, job: HeldJob, seq: int, epoch: str) -> bool:
        owner = self.numbers.setdefault((job.device, epoch, seq), job.job)
        if owner == job.job:
            return False
        if not self.devices[job.device].has_lost(seq, epoch) or not restored.take_number_back(self.tx, owner):
            return True
        # The restored ledger gave that number again, and the dispenser used it for this job before.
        if owner in self.jobs:
            self.jobs[owner].seq = self.jobs[owner].was_seq = None
        self.numbers[(job.device, epoch, seq)] = job.job
        return False

    def _recreate(self, device: HeldDevice, message: JobCompleted) -> HeldJob | None:
        """The job of a report that a restored ledger asked for and does not know; None for any other unknown job."""
        if not device.has_lost(message.seq, message.epoch):
            return None
        row = restored.recreate(self.tx, device.device, message, self.now_ms)
        if row is None:
            return None
        job = self.jobs[message.job] = HeldJob(self._taken, *row)
        for report in message.items:
            job.items[report.item] = restored.waiting(report)
        for _, epoch, seq, owner in self._rows("numbers", [(device.device, message.epoch, message.seq)]):
            self.numbers.setdefault((device.device, epoch, seq), owner)
        return job

    def decide(self, fact: Fact) -> None:
        """Apply one fact to what is held."""
        device = self.devices.get(fact.device)
        if device is None:
            self._reject(fact, "unknown_device", f"{fact.device} was never claimed")
            return
        message = fact.message
        if isinstance(message, StatusReported):
            device.report(message)
        elif isinstance(message, TelemetryReported):
            device.telemetry = message
            device.seen = True
        elif isinstance(message, JobAccepted | ItemProgressed | JobCompleted):
            if isinstance(message, JobCompleted):
                received = CompletionReceived(job=message.job, seq=message.seq, epoch=message.epoch)
                self._receipt(fact.device, received)
            try:
                self._decide_job(device, fact, message)
            except Rejected as rejected:
                self._reject(fact, rejected.reason, rejected.detail)

    def _decide_job(self, device: HeldDevice, fact: Fact, message: JobAccepted | ItemProgressed | JobCompleted) -> None:
        job = self.jobs.get(message.job)
        if job is None and isinstance(message, JobCompleted):
            job = self._recreate(device, message)
        if job is None:
            raise Rejected("unknown_job", f"there is no job {message.job}")
        if job.device != device.device:
            raise Rejected("other_device", f"job {job.job} is for {job.device}, not {device.device}")
        before = job.rank
        if isinstance(message, JobAccepted):
            if message.refusal is not None:
                device.refused.append((job, message))
                return
            job.accept(message)
        elif isinstance(message, ItemProgressed):
            job.progress(fact.flask or 0, message)
        else:
            job.complete(message)
        if before < JOB_RUNNING <= job.rank:
            device.accept(message.boot, message.ms)

    def use_numbers(self) -> None:
        """A number that a job took from its dispenser is never given again."""
        for job in self.jobs.values():
            if job.seq is not None and job.seq != job.was_seq:
                self.devices[job.device].use_number(job.seq)

    def end_lost_jobs(self) -> None:
        """End what was offered to a flash store that is known to be gone; doubt what expired and is never answered."""
        for job in self.jobs.values():
            device = self.devices.get(job.device)
            if device is None or not (0 < job.rank < JOB_ENDED or job.is_unanswered) or job.epoch is None:
                continue
            if job.epoch != device.epoch:
                if device.new_epochs or job.epoch in device.known_epochs:
                    job.lose(FLASH_REPLACED)
            elif job.is_unanswered and job.seq is not None and job.seq <= device.receipted_seq:
                job.lose("the dispenser went on without a word of it")

    def _receipt(self, device: str, receipt: CompletionReceived) -> None:
        self.receipts[(device, receipt.job, receipt.seq, receipt.epoch)] = receipt

    def _reject(self, fact: Fact, reason: str, detail: str) -> None:
        self.letters.append(dead(fact.came_as, reason, detail))

    def _rows(self, name: str, rows: Sequence[tuple[Any, ...]]) -> Sequence[Any]:
        """The answer of a reading statement; nothing asked, nothing read."""
        if not rows:
            return ()
        statement: Statement = getattr(statements(self.tx.dialect.name), name)
        return statement.run(self.tx, rows).all()
