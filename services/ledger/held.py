"""What a fact does to a job: decided here, on the job as the transaction holds it. No I/O.

Ranks only rise (protocol.states), so facts may come late, twice and in any order. A fact that cannot be about this job,
or that contradicts an end already recorded, is `Rejected` and leaves what it contradicts as it was.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from protocol.messages import ItemProgressed, ItemReport, JobAccepted, JobCompleted
from protocol.states import DEVICE, SERVER, item_rank, job_outcome, job_rank

ITEM_ENDED = item_rank("done", SERVER)
ITEM_SETTLED = item_rank("done", DEVICE)
JOB_OFFERED = job_rank("offered")
JOB_RUNNING = job_rank("running")
JOB_ENDED = job_rank("done", SERVER)
JOB_SETTLED = job_rank("done", DEVICE)

FLASH_REPLACED = "the dispenser's flash was replaced"


class Rejected(Exception):
    """A fact that does not fit the job. `reason` is a key of `dead_letters.REASONS`."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


@dataclass(slots=True)
class HeldItem:
    """A row of `job_item`, with what it was when it was read."""

    item: int
    flask: int
    target_mg: int
    state: str
    rank: int
    says: str
    dispensed_mg: int | None
    duration_ms: int | None
    error: str | None
    resolution: str | None
    resolved_mg: int | None
    was_state: str = field(init=False)
    was_rank: int = field(init=False)
    reason: str = ""

    def __post_init__(self) -> None:
        self.was_state = self.state
        self.was_rank = self.rank

    @property
    def changed(self) -> bool:
        return self.rank != self.was_rank or self.state != self.was_state

    @property
    def released_mg(self) -> int:
        """What its end gives back to the flask's free stock."""
        return self.target_mg if self.was_rank < ITEM_ENDED <= self.rank else 0

    @property
    def is_skipped_by_server(self) -> bool:
        """The server skipped it; its dispenser has not said so."""
        return self.state == "skipped" and self.says == SERVER

    @property
    def moved(self) -> str | None:
        """The kind of stock movement that its end causes. What an operator resolved has had its movement."""
        if self.rank != ITEM_SETTLED or not self.changed or self.resolution is not None:
            return None
        if self.state == "done":
            return "dispense"
        return "partial" if self.state == "failed" and self.dispensed_mg else None


@dataclass(slots=True)
class HeldJob:
    """A row of `job` with its items by number, with what it was when it was read.

    A job that runs and only progresses needs no item but those named; every other needs all of them.
    """

    # Whether another job of this dispenser has that (seq, epoch) already.
    taken: Callable[["HeldJob", int, str], bool]
    job: str
    device: str
    state: str
    rank: int
    says: str
    seq: int | None
    epoch: str | None
    accepted_at_ms: int | None
    ended_at_ms: int | None
    items: dict[int, HeldItem] = field(default_factory=dict)
    was_state: str = field(init=False)
    was_rank: int = field(init=False)
    was_seq: int | None = field(init=False)
    accepted: bool = False
    reason: str = ""

    def __post_init__(self) -> None:
        self.was_state = self.state
        self.was_rank = self.rank
        self.was_seq = self.seq

    @property
    def changed(self) -> bool:
        return self.rank != self.was_rank or self.state != self.was_state or self.seq != self.was_seq

    @property
    def is_unanswered(self) -> bool:
        """Its time was up after it was offered, and the dispenser has not said whether it took it."""
        return self.state == "expired" and self.says == SERVER and self.seq is not None

    def accept(self, fact: JobAccepted) -> None:
        """The job is in the dispenser's flash."""
        self._check_offer(fact.seq, fact.epoch)
        self._run()

    def progress(self, flask: int, fact: ItemProgressed) -> None:
        """One item moved on. So the job runs."""
        item = self.items.get(fact.item)
        if item is None or item.flask != flask or item.target_mg != fact.target_mg:
            raise Rejected("wrong_item", f"job {self.job} has no item {fact.item}: flask {flask}, {fact.target_mg} mg")
        self._check_offer(fact.seq, fact.epoch)
        self._run()
        conflict = _take(item, fact)
        if item.changed:
            self._restate()
        if conflict:
            raise Rejected("conflict", f"job {self.job}: {conflict}")

    def complete(self, fact: JobCompleted) -> None:
        """The dispenser's last word: every item as reported; no items at all: none was opened."""
        items = list(self.items.values())
        asked = [(item.flask, item.target_mg) for item in items]
        self._check_offer(fact.seq, fact.epoch)
        if fact.items and asked != [(report.flask, report.target_mg) for report in fact.items]:
            # It is receipted all the same, so nothing more will come.
            self.lose("the dispenser reported other items")
            raise Rejected("wrong_item", f"the items are not those of job {self.job}")
        reports = fact.items or tuple(_never_had(item) for item in items)
        conflicts = [conflict for item, report in zip(items, reports, strict=True) if (conflict := _take(item, report))]
        self.accepted = self.accepted or bool(fact.items)
        if self.rank < JOB_SETTLED:
            self.rank = JOB_SETTLED
            self.says = DEVICE
            self.reason = "the dispenser reported the end"
        self._restate()
        if conflicts:
            raise Rejected("conflict", f"job {self.job}: " + "; ".join(conflicts))

    def lose(self, why: str) -> None:
        """Nobody can tell what became of it: what has not ended ends, by the server's word.

        What the server had skipped when time was up is as unknown, where the dispenser had been offered it.
        """
        for item in self.items.values():
            if item.rank < ITEM_ENDED or (self.is_unanswered and item.is_skipped_by_server):
                item.state = "in_doubt"
                item.rank = ITEM_ENDED
                item.says = SERVER
                item.reason = why
        if self.rank < JOB_ENDED:
            self.state = "failed"
            self.rank = JOB_ENDED
            self.says = SERVER
            self.reason = why
        self._restate()

    def _check_offer(self, seq: int, epoch: str) -> None:
        """The fact answers this job's offer.

        A job without a number takes the dispenser's: the database was restored from before the offer, and what the
        dispenser did since is true all the same.
        """
        if self.seq == seq and self.epoch == epoch:
            return
        if self.seq is not None or self.epoch not in (None, epoch) or self.taken(self, seq, epoch):
            offered = "never" if self.seq is None else f"as number {self.seq} to flash store {self.epoch}"
            raise Rejected("not_offered", f"job {self.job} was offered {offered}, not as {seq} to {epoch}")
        self.seq = seq
        self.epoch = epoch

    def _run(self) -> None:
        self.accepted = True
        if self.rank < JOB_RUNNING:
            self.state = "running"
            self.rank = JOB_RUNNING
            self.says = DEVICE
            self.reason = "the job is in the dispenser's flash"

    def _restate(self) -> None:
        """An ended job's state follows its items. The server's own word stands unless something was dispensed.

        It also stands while the dispenser may still say what it did: by that state it is asked.
        """
        if self.rank < JOB_ENDED or (
            self.is_unanswered and any(item.is_skipped_by_server for item in self.items.values())
        ):
            return
        outcome = job_outcome([item.state for item in self.items.values()])
        if self.rank == JOB_SETTLED or outcome in ("done", "done_partial"):
            if outcome != self.state and not self.reason:
                self.reason = "the dispenser reported more"
            self.state = outcome


def _take(item: HeldItem, fact: ItemReport | ItemProgressed) -> str | None:
    """Move the item to what the dispenser says, when that ranks higher. Returns what contradicts it, if anything."""
    rank = item_rank(fact.state)
    if rank < item.rank or (rank == item.rank and rank < ITEM_ENDED):
        return None
    if item.rank == ITEM_SETTLED:
        same = (item.state, item.dispensed_mg, item.duration_ms, item.error) == (
            fact.state,
            fact.dispensed_mg,
            fact.duration_ms,
            fact.error,
        )
        return None if same else f"item {item.item} is {item.state}, {item.dispensed_mg} mg; now {_words(fact)}"
    if item.resolution is not None and fact.state != "in_doubt" and (fact.dispensed_mg or 0) != item.resolved_mg:
        return f"item {item.item} was resolved as {item.resolved_mg} mg; now {_words(fact)}"
    item.state = fact.state
    item.rank = rank
    item.says = DEVICE
    item.dispensed_mg = fact.dispensed_mg
    item.duration_ms = fact.duration_ms
    item.error = fact.error
    item.reason = fact.error or ""
    return None


def _words(fact: ItemReport | ItemProgressed) -> str:
    return f"{fact.state}, {fact.dispensed_mg} mg, {fact.duration_ms} ms, {fact.error}"


def _never_had(item: HeldItem) -> ItemReport:
    """What the dispenser reports of an item that a cancelled job did not reach."""
    return ItemReport(
        item=item.item,
        flask=item.flask,
        state="skipped",
        target_mg=item.target_mg,
        dispensed_mg=0,
        duration_ms=0,
        error="cancelled",
    )
