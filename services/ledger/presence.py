"""What a status or a refusal does to a dispenser: decided here, on the row as the transaction holds it. No I/O."""

from dataclasses import dataclass, field

from protocol.limits import MAX_COUNT
from protocol.messages import JobAccepted, StatusReported, TelemetryReported
from services.ledger.held import JOB_OFFERED, HeldJob

# Requests for lost reports before what is missing is given up. With `restored.RESEND_REPEAT_MS` between them it is a
# minute, which is longer than a dead dispenser can look alive (1.5 times `KEEPALIVE_S`).
RESEND_TRIES = 12

# `seen_at_ms` is refreshed at most this often: a running dispenser speaks many times a second.
SEEN_RESOLUTION_MS = 1000


@dataclass(slots=True)
class HeldDevice:
    """A row of `device`, and what this batch made of it. Names as in the table."""

    device: str
    epoch: str | None
    boot: int
    connection: int
    status_ms: int
    online: bool
    firmware: str
    reset_cause: str
    config_version: int
    job: str | None
    last_seq: int
    receipted_seq: int
    fault: str | None
    stop_ms: int | None
    stop_mg: int | None
    seen_at_ms: int | None
    refusal: str | None
    next_seq: int
    lost_from_seq: int | None
    lost_to_seq: int | None
    resend_left: int
    resend_sent_at_ms: int | None
    # Every epoch it was ever seen with, when it was needed to ask.
    known_epochs: set[str] = field(default_factory=set)
    new_epochs: list[str] = field(default_factory=list)
    telemetry: TelemetryReported | None = None
    refused: list[tuple[HeldJob, JobAccepted]] = field(default_factory=list)
    # (boot, ms) of the latest acceptance in this batch
    accepted_at: tuple[int, int] | None = None
    changed: bool = False
    seen: bool = False

    def report(self, status: StatusReported) -> None:
        """Take a status. Older ones of the same flash store only raise the job numbers."""
        if status.epoch != self.epoch:
            # A board that begins says that it is online. A last will alone may be that of one which was replaced.
            if status.epoch in self.known_epochs or not status.online:
                return
            self._start_epoch(status.epoch, status.last_seq)
        self._raise_numbers(status)
        now = (status.boot, status.connection)
        before = (self.boot, self.connection)
        if now < before:
            return
        # For one connection the last will is the last word on presence, but it was written when the connection began.
        online = status.online and (self.online or now > before)
        if now > before or status.ms > self.status_ms:
            self._describe(status)
        if online != self.online:
            self.online = online
            self.changed = True
        self.seen = self.seen or (status.online and self.changed)

    def use_number(self, seq: int) -> None:
        """It reported a job under that number. One that the ledger did not give yet shows that numbers were lost."""
        if self.next_seq <= seq:
            self._lose(self.next_seq, seq)

    def has_lost(self, seq: int, epoch: str) -> bool:
        """Whether the number is one that the dispenser used and a restored ledger does not know."""
        first, last = self.lost_from_seq, self.lost_to_seq
        return epoch == self.epoch and first is not None and last is not None and first <= seq <= last

    def accept(self, boot: int, ms: int) -> None:
        """It took a job, or ended one: the refusal before that is history."""
        self.accepted_at = max((boot, ms), self.accepted_at or (0, 0))
        self.seen = True

    def answer_refusals(self) -> None:
        """Take the refusals that still hold after every other fact. A job whose number was used up loses it."""
        holding = [(job, fact) for job, fact in self.refused if fact.epoch == self.epoch and _holds(job, fact)]
        latest: tuple[tuple[int, int], str | None] | None = None
        if self.accepted_at is not None:
            latest = (self.accepted_at, None)
        for job, fact in holding:
            if fact.refusal == "stale_seq":
                job.seq = None
                job.reason = "the dispenser had used the job number"
                self._lose(fact.seq, fact.seq)
            if latest is None or (fact.boot, fact.ms) > latest[0]:
                latest = ((fact.boot, fact.ms), fact.refusal)
        if latest is not None and latest[1] != self.refusal:
            self.refusal = latest[1]
            self.changed = True
        self.seen = self.seen or bool(holding)

    def _lose(self, first: int, last: int) -> None:
        """The dispenser used these numbers for jobs that the ledger does not know: ask for its reports."""
        if self.resend_left and self.lost_from_seq is not None and self.lost_to_seq is not None:
            first, last = min(first, self.lost_from_seq), max(last, self.lost_to_seq)
        self.lost_from_seq, self.lost_to_seq = first, last
        self.resend_left, self.resend_sent_at_ms = RESEND_TRIES, None
        self.next_seq = max(self.next_seq, min(last + 1, MAX_COUNT))
        self.changed = True

    def _start_epoch(self, epoch: str, last_seq: int) -> None:
        if self.epoch is None:
            # Numbers of another life: nothing of what it did then is this ledger's.
            self.next_seq = max(self.next_seq, min(last_seq + 1, MAX_COUNT))
        for met in (self.epoch, epoch):
            if met is not None and met not in self.known_epochs:
                self.known_epochs.add(met)
                self.new_epochs.append(met)
        self.epoch = epoch
        self.boot = self.connection = self.status_ms = self.last_seq = self.receipted_seq = 0
        self.online = False
        self.refusal = None
        if self.resend_left and self.lost_to_seq is not None and last_seq >= self.lost_to_seq:
            # It used the lost numbers itself: one of its reports came before its first status.
            self.resend_left, self.resend_sent_at_ms = RESEND_TRIES, None
        elif self.resend_left:
            # Nobody will tell any more what the old one did: the next look gives it up.
            self.resend_left, self.resend_sent_at_ms = 1, 0
        self.changed = True

    def _raise_numbers(self, status: StatusReported) -> None:
        if status.last_seq > self.last_seq or status.receipted_seq > self.receipted_seq:
            self.last_seq = max(self.last_seq, status.last_seq)
            self.receipted_seq = max(self.receipted_seq, status.receipted_seq)
            self.changed = True
        if self.next_seq <= status.last_seq and self.next_seq < MAX_COUNT:
            self._lose(self.next_seq, status.last_seq)

    def _describe(self, status: StatusReported) -> None:
        self.boot = status.boot
        self.connection = status.connection
        self.status_ms = status.ms
        self.firmware = status.firmware
        self.reset_cause = status.reset_cause
        self.config_version = status.config_version
        self.job = status.job
        self.fault = status.fault
        self.stop_ms = status.stop_ms
        self.stop_mg = status.stop_mg
        self.changed = True


def _holds(job: HeldJob, fact: JobAccepted) -> bool:
    return job.rank == JOB_OFFERED and job.seq == fact.seq and job.epoch == fact.epoch
