"""Runs the job in hand, one flask at a time: save, open, wait for the close, save.

A flask opens only after flash says "dispensing", and the next one only after flash says how the last one ended: at any
power cut at most one item is unknown, and flash names it.
"""

from firmware.core.job import Item, Job, amount_mg, needed_ms
from firmware.core.journal import Journal
from firmware.core.ports import CloseFlask, OpenFlask, Port
from protocol.limits import MAX_OPEN_MS, MAX_TARGET_MG


class Runner:
    """The job's state machine. Its memory across power cuts is the journal's job."""

    __slots__ = ("_journal", "_mark", "_open_ms", "_position", "_settled_at_ms", "_stopping", "is_open", "servo_fault")

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self.is_open = False
        """An `OpenFlask` was ordered and not answered: nothing that blocks may start."""
        self.servo_fault = False
        """The servo driver failed during the job in hand."""
        self._position = -1  # of the item whose flask is about to open or is open; -1: none
        self._mark = 0  # version of the journal that says so
        self._open_ms = 0  # how long it is to be open
        self._settled_at_ms = 0
        self._stopping = False

    def is_busy(self) -> bool:
        """A flask is open, or opens as soon as flash says so."""
        return self._position >= 0

    def advance(self, now_ms: int, quiet: bool, out: "list[Port]") -> None:
        """Do the next thing for the job, if there is one to do now. `quiet`: no connect is under way."""
        journal = self._journal
        job = journal.job
        if job is None or self.is_open:
            return
        if self._position >= 0:
            self._open(job, out)
        elif journal.is_clean() and not journal.is_writing():
            following = job.next_pending()
            if following is None:
                return
            if now_ms >= self._settled_at_ms and quiet:
                self._begin(job, following)

    def wake_at_ms(self, now_ms: int) -> "int | None":
        """When the next flask may open, where only the pause after the last one is in its way."""
        return self._settled_at_ms if self._journal.job is not None and self._settled_at_ms > now_ms else None

    def stop(self, out: "list[Port]") -> None:
        """Stop the job in hand: close the open flask, skip what has not begun. Harmless when there is none."""
        job = self._journal.job
        if job is None or self._stopping or job.is_over():
            return
        self._stopping = True
        if self.is_open:
            out.append(CloseFlask(job.items[self._position].flask))
        for item in job.items:
            if item.state == "pending":
                item.move("skipped", 0, 0, "cancelled")
        # Every other save changes one item, so that the generation before it names the one in doubt. This changes more.
        self._journal.touch(in_both=True)

    def closed(self, now_ms: int, flask: int, open_ms: int, dispensed_mg: "int | None") -> None:
        """The open flask closed after `open_ms`; `dispensed_mg` where a load cell knows better than the flow."""
        item = self._answered(flask)
        if item is None:
            return
        early = self._stopping and open_ms < self._open_ms
        error = "cancelled" if early else None
        if item.open_ms is not None and dispensed_mg is None:
            # The flow is what this opening is to tell.
            item.move("in_doubt", None, _bounded(open_ms, 2 * MAX_OPEN_MS), error)
        else:
            amount = self._amount(flask, open_ms, dispensed_mg)
            item.move("failed" if early else "done", amount, _bounded(open_ms, 2 * MAX_OPEN_MS), error)
        self._close(now_ms, flask)

    def failed(
        self, now_ms: int, flask: int, error: str, open_ms: "int | None", dispensed_mg: "int | None" = None
    ) -> None:
        """The flask that was told to open failed with `jammed` or `servo_fault`; `open_ms` None: nobody knows."""
        item = self._answered(flask)
        if item is None:
            return
        reason = error if error == "jammed" else "servo_fault"
        self.servo_fault = self.servo_fault or reason == "servo_fault"
        if open_ms is None or (open_ms and item.open_ms is not None and dispensed_mg is None):
            item.move("in_doubt", error=reason)
        else:
            item.move("failed", self._amount(flask, open_ms, dispensed_mg), _bounded(open_ms, 2 * MAX_OPEN_MS), reason)
        self._close(now_ms, flask)

    def save_failed(self) -> None:
        """The state could not be saved. A flask that was about to open stays closed."""
        job = self._journal.job
        if job is not None and self._position >= 0 and self._journal.saved_version < self._mark:
            job.items[self._position].move("failed", 0, 0, "flash_full")
            self._position = -1
            self._journal.touch()

    def job_ended(self) -> None:
        """The job in hand is over and so is what was known of it."""
        self._stopping = False
        self.servo_fault = False

    def _begin(self, job: Job, position: int) -> None:
        """Mark the item as dispensing, to be saved; or as failed when its flask cannot open."""
        item = job.items[position]
        config = self._journal.flask(item.flask)
        open_ms = needed_ms(item, config.flow_mg_per_s) if config else None
        if config is None:
            item.move("failed", 0, 0, "unknown_flask")
        elif open_ms is None:
            item.move("failed", 0, 0, "not_calibrated")
        elif open_ms > config.max_open_ms:
            item.move("failed", 0, 0, "over_limit")
        else:
            item.move("dispensing")
            self._position = position
        self._journal.touch()
        self._mark = self._journal.version

    def _open(self, job: Job, out: "list[Port]") -> None:
        """Open the flask of the item that flash says is dispensing."""
        if self._journal.saved_version < self._mark or self._journal.is_writing():
            return
        item = job.items[self._position]
        config = self._journal.flask(item.flask)
        open_ms = needed_ms(item, config.flow_mg_per_s) if config else None
        if self._stopping or config is None or open_ms is None:
            item.move("failed", 0, 0, "cancelled" if config else "unknown_flask")
            self._position = -1
            self._journal.touch()
            return
        self._open_ms = open_ms
        self.is_open = True
        out.append(
            OpenFlask(item.flask, self._open_ms, config.max_open_ms, config.channel, config.closed_us, config.open_us)
        )

    def _answered(self, flask: int) -> "Item | None":
        job = self._journal.job
        if job is None or not self.is_open or job.items[self._position].flask != flask:
            return None
        return job.items[self._position]

    def _amount(self, flask: int, open_ms: int, weighed_mg: "int | None") -> int:
        config = self._journal.flask(flask)
        flow = config.flow_mg_per_s if config else 0
        return _bounded(amount_mg(open_ms, flow) if weighed_mg is None else weighed_mg, 2 * MAX_TARGET_MG)

    def _close(self, now_ms: int, flask: int) -> None:
        config = self._journal.flask(flask)
        self._settled_at_ms = now_ms + (config.settle_ms if config else 0)
        self.is_open = False
        self._position = -1
        self._journal.touch()


def _bounded(value: int, high: int) -> int:
    return max(0, min(value, high))
