"""What survives a power cut: who this dispenser is, the job in hand, the last completions, the configuration.

Callers change the values and `touch()`; `pump` writes them, one slot at a time. `is_clean()` says that everything that
was changed is in flash, so that it may be acted on or told. `saved_version` is what is there as it has to be.
"""

from firmware.core import slots as flash
from firmware.core.history import History, Kept
from firmware.core.job import Job
from firmware.core.ports import Port, Save
from protocol import codec
from protocol.limits import MAX_COUNT
from protocol.messages import ConfigureDispenser, FlaskConfig

try:
    from typing import Callable
except ImportError:  # MicroPython has no typing; only type checkers look at this
    pass

# A full or worn flash is tried again this often: soon enough for a person at the board, too seldom to wear it further.
SAVE_RETRY_MS = 5000

# What a write was for.
STATE = "state"
DONE = "done"
CONFIG = "config"


class Journal:
    """The content of flash and what it is to become. Times are `now_ms`."""

    __slots__ = (
        "_before_job",
        "_failed",
        "_generation",
        "_in_both",
        "_newest",
        "_newest_version",
        "_pending_config",
        "_pending_done",
        "_retry_at_ms",
        "_shown_next",
        "_writing",
        "_writing_version",
        "boot",
        "config_version",
        "epoch",
        "flasks",
        "fresh",
        "history",
        "job",
        "last_seq",
        "saved_version",
        "shown",
        "version",
        "writes",
    )

    def __init__(self) -> None:
        self.epoch = ""
        self.boot = 0
        self.last_seq = 0
        self.job = None  # type: Job | None
        self.history = History()
        self.flasks = ()  # type: tuple[FlaskConfig, ...]
        self.config_version = 0
        self.fresh = []  # type: list[Kept]
        """Completions in flash that were not yet handed over for publishing."""
        self.shown: "tuple[str | None, int, int]" = (None, 0, 0)
        """(job, last_seq, receipted_seq) as they are in flash."""
        self.version = 0
        self.saved_version = 0
        self.writes = 0
        self._generation = 0
        self._newest = 1  # index in flash.STATES of the newest good generation; the next save goes to the other
        self._newest_version = 0
        self._in_both = 0  # the version that has to be in either generation
        self._before_job = 0
        self._pending_done = None  # type: Kept | None
        self._pending_config = None  # type: ConfigureDispenser | None
        self._writing = ""
        self._writing_version = 0
        self._shown_next: "tuple[str | None, int, int]" = self.shown
        self._failed = []  # type: list[str]
        self._retry_at_ms = 0

    def load(self, slots: "dict[str, bytes]", random_bits: "Callable[[int], int]") -> "list[str]":
        """Take over what flash holds, or start a new store. Returns what was wrong with it, in words.

        The result waits to be saved: at least the boot counter has changed.
        """
        problems = []  # type: list[str]
        lost = False
        states = [flash.read_state(slots.get(name)) for name in flash.STATES]
        generations = [state.generation if state else 0 for state in states]
        self._newest = 0 if generations[0] > generations[1] else 1
        state = states[self._newest]
        if state is None:
            if slots:
                problems.append("no readable state in flash: a new store begins")
            self.epoch = "%08x%08x" % (random_bits(32), random_bits(32))
            self.boot = 1
        else:
            # The first generation has no other beside it. Later ones do, and a lost one may have held the next step.
            alone = state.generation == 1 and flash.STATES[1 - self._newest] not in slots
            lost = states[1 - self._newest] is None and not alone
            if lost:
                problems.append("one generation of the state is unreadable: what it may have held is taken as in doubt")
            self._adopt(state, lost)
            unreceipted = state.unreceipted
            found, unknown = self.history.load(slots, self.epoch, unreceipted, self.last_seq, self.job)
            problems += found
            for kept in unknown:
                self._finish(kept)
        self._load_config(slots.get(flash.CONFIG), problems)
        self.shown = self._summary()
        # After a loss the other generation is boots behind: were this one lost as well, its number would come again.
        self.touch(in_both=lost)
        return problems

    def is_clean(self) -> bool:
        """Everything that was changed is in flash."""
        return self.saved_version == self.version

    def is_writing(self) -> bool:
        """A write is under way."""
        return self._writing != ""

    def is_failing(self) -> bool:
        """The last write to some slot did not succeed."""
        return bool(self._failed)

    def flask(self, number: int) -> "FlaskConfig | None":
        """The configuration of a flask, or None when there is no such flask."""
        for one in self.flasks:
            if one.flask == number:
                return one
        return None

    def has_room(self) -> bool:
        """Whether one more completion can be kept without dropping one that was not receipted."""
        return self._pending_done is None and self.history.free_index() is not None

    def touch(self, in_both: bool = False) -> None:
        """Something changed: it has to be saved; `in_both`: twice, to hold whichever generation is lost."""
        self.version += 1
        if in_both:
            self._in_both = self.version

    def take(self, job: Job) -> None:
        """A new job in hand, to be saved."""
        self._before_job = self.last_seq
        self.job = job
        self.last_seq = job.seq
        self.touch()

    def give_back(self) -> None:
        """The job could not be saved: as if it had never come."""
        self.job = None
        newest = self.history.newest()
        self.last_seq = max(self._before_job, newest.seq if newest else 0)
        self.touch()

    def keep(self, job: str, seq: int, payload: bytes) -> None:
        """Save a completion as soon as there is a slot for it; once in flash, its job is over. Needs `has_room`."""
        if self.has_room():
            self._pending_done = Kept(job, seq, payload)

    def receipt(self, job: str, seq: int) -> bool:
        """The server has this completion. False when none such was waiting."""
        found = self.history.receipt(job, seq)
        if found:
            self.touch()
        return found

    def resend(self, from_seq: int) -> None:
        """Every completion kept from this number on waits for a receipt again."""
        if self.history.resend(from_seq):
            self.touch()

    def configure(self, config: ConfigureDispenser) -> None:
        """Save this configuration as soon as no job is in hand, if it is newer: a job ends as it began."""
        pending = self._pending_config
        if config.version > (pending.version if pending else self.config_version):
            self._pending_config = config

    def pump(self, now_ms: int, out: "list[Port]") -> None:
        """Order the next write, if one is due and none is under way. Not to be called while a flask is open."""
        due = self._due()
        if self._writing or not due or now_ms < self._retry_at_ms:
            return
        healthy = [kind for kind in due if kind not in self._failed]
        kind = (healthy or due)[0]
        # Chosen now, not in `keep`: a resend since then may want what the slot holds.
        index = self.history.free_index()
        if kind == DONE and self._pending_done is not None and index is not None:
            name = flash.DONE[index]
            content = flash.seal(self._pending_done.payload)
        elif kind == CONFIG and self._pending_config is not None:
            name = flash.CONFIG
            content = flash.seal(codec.encode(self._pending_config))
        else:
            name = flash.STATES[1 - self._newest]
            content = self._state()
            self._writing_version = self.version
            self._shown_next = self._summary()
        self._writing = name
        self.writes += 1
        out.append(Save(name, content))

    def saved(self, now_ms: int, slot: str, ok: bool) -> str:
        """The answer to the write under way. Returns what it was for (`STATE`, …); "" for an answer to nothing."""
        if not slot or slot != self._writing:
            return ""
        self._writing = ""
        kind = STATE if slot in flash.STATES else CONFIG if slot == flash.CONFIG else DONE
        if not ok:
            self._retry_at_ms = now_ms + SAVE_RETRY_MS
            if kind not in self._failed:
                self._failed.append(kind)
            return kind
        self._retry_at_ms = 0
        if kind in self._failed:
            self._failed.remove(kind)
        if kind == STATE:
            self._newest = 1 - self._newest
            self._generation += 1
            older, self._newest_version = self._newest_version, self._writing_version
            self.saved_version = self._newest_version if older >= self._in_both else older
            self.shown = self._shown_next
        elif kind == CONFIG and self._pending_config is not None:
            self._use(self._pending_config)
            self._pending_config = None
        elif kind == DONE and self._pending_done is not None:
            kept = self._pending_done
            self._pending_done = None
            self.history.add(flash.DONE.index(slot), kept)
            self._finish(kept)
            self.touch()
        return kind

    def wake_at_ms(self) -> "int | None":
        """When `pump` has something to try again."""
        return self._retry_at_ms if self._retry_at_ms and not self._writing and self._due() else None

    def _due(self) -> "list[str]":
        due = []
        if self._pending_done is not None and self.history.free_index() is not None:
            due.append(DONE)
        if not self.is_clean():
            due.append(STATE)
        if self._pending_config is not None and self.job is None:
            due.append(CONFIG)
        return due

    def _finish(self, kept: Kept) -> None:
        """The completion is in flash: its number is used up, and its job is no longer in hand."""
        self.last_seq = max(self.last_seq, kept.seq)
        self.fresh.append(kept)
        if self.job is not None and self.job.seq == kept.seq:
            self.job = None

    def _use(self, config: ConfigureDispenser) -> None:
        self.flasks = config.flasks
        self.config_version = config.version

    def _summary(self) -> "tuple[str | None, int, int]":
        """(job, last_seq, highest number up to which nothing waits for a receipt)."""
        waiting = [kept.seq for kept in self.history.waiting()]
        if self.job is not None:
            waiting.append(self.job.seq)
        receipted_seq = min(waiting) - 1 if waiting else self.last_seq
        return (self.job.id if self.job else None, self.last_seq, receipted_seq)

    def _state(self) -> bytes:
        return flash.write_state(
            self._generation + 1, self.epoch, self.boot, self.last_seq, self.history.unreceipted, self.job
        )

    def _adopt(self, state: flash.StoredState, lost: bool) -> None:
        self._generation = state.generation
        self.epoch = state.epoch
        # The lost generation may have been the save of one more boot.
        self.boot = min(state.boot + (2 if lost else 1), MAX_COUNT)
        self.last_seq = state.last_seq
        self.job = flash.read_job(state)
        if self.job is None:
            return
        items = self.job.items
        interrupted = [item for item in items if item.state == "dispensing"]
        following = self.job.next_pending()
        if lost and not interrupted and following is not None:
            items[following].move("dispensing")
            interrupted = [items[following]]
        for item in interrupted:
            item.move("in_doubt", error="interrupted")

    def _load_config(self, content: "bytes | None", problems: "list[str]") -> None:
        body = flash.unseal(content)
        try:
            if body is not None:
                self._use(codec.decode(ConfigureDispenser, body))
                return
        except codec.Malformed:
            pass  # told below
        if content is not None:
            problems.append("the configuration in flash is unreadable: it comes again from the broker")
