"""What survives a power cut: who this dispenser is, the job in hand, the last completions, the configuration.

Callers change the values and `touch()`; `pump` writes them, one slot at a time. `is_clean()` says that everything that
was changed is in flash, so that it may be acted on or told.
"""

from firmware.core import slots as flash
from firmware.core.job import Item, Job
from firmware.core.ports import Port, Save
from protocol import codec
from protocol.limits import KEPT_COMPLETIONS, MAX_COUNT
from protocol.messages import ConfigureDispenser, FlaskConfig, JobCompleted

try:
    from typing import Callable
except ImportError:  # MicroPython has no typing; only type checkers look at this
    pass

# A full or worn flash is tried again this often: soon enough for a person at the board, too seldom to wear it further.
SAVE_RETRY_MS = 5000

STATE = "state"
_DONE = "done"
_CONFIG = "config"


class Kept:
    """A completion in flash, and the bytes in which it is published each time."""

    __slots__ = ("job", "payload", "seq")

    def __init__(self, job: str, seq: int, payload: bytes) -> None:
        self.job = job
        self.seq = seq
        self.payload = payload


class Journal:
    """The content of flash and what it is to become. Times are `now_ms`."""

    __slots__ = (
        "_before_job",
        "_completions",
        "_failed",
        "_generation",
        "_newest",
        "_pending_config",
        "_pending_done",
        "_retry_at_ms",
        "_shown_next",
        "_unreceipted",
        "_writing",
        "_writing_version",
        "boot",
        "config_version",
        "epoch",
        "flasks",
        "fresh",
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
        self.flasks = ()  # type: tuple[FlaskConfig, ...]
        self.config_version = 0
        self.fresh = []  # type: list[Kept]
        """Completions in flash that were not yet handed over for publishing."""
        self.shown: "tuple[str | None, int, int]" = (None, 0, 0)
        """(job, last_seq, receipted_seq) as they are in flash."""
        self.version = 0
        self.saved_version = 0
        self.writes = 0
        self._completions = {}  # type: dict[int, Kept]
        self._unreceipted = 0
        self._generation = 0
        self._newest = 1
        self._before_job = 0
        self._pending_done = None  # type: tuple[int, Kept] | None
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
            # The first generation has no other beside it; later ones do, and it may have held the next step.
            alone = state.generation == 1 and flash.STATES[1 - self._newest] not in slots
            lost = states[1 - self._newest] is None and not alone
            if lost:
                problems.append("one generation of the state is unreadable: what it may have held is taken as in doubt")
            self._adopt(state, lost)
            self._load_completions(slots, problems)
        self._load_config(slots.get(flash.CONFIG), problems)
        self.shown = (self.job.id if self.job else None, self.last_seq, self.receipted_seq())
        self.touch()
        return problems

    # What the others ask.

    def touch(self) -> None:
        """Something changed: it has to be saved."""
        self.version += 1

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

    def completion(self, job: str, seq: int) -> "Kept | None":
        """The completion of that job, if it is one of those kept."""
        for kept in self._completions.values():
            if kept.seq == seq and kept.job == job:
                return kept
        return None

    def unreceipted(self) -> "list[Kept]":
        """The completions to publish until receipted; with the newest of all, which has to be the retained one."""
        waiting = [kept for index, kept in self._completions.items() if self._unreceipted >> index & 1]
        newest = self.newest()
        if waiting and newest is not None and newest not in waiting:
            waiting.append(newest)
        return waiting

    def newest(self) -> "Kept | None":
        """The completion with the highest number."""
        newest = None  # type: Kept | None
        for kept in self._completions.values():
            if newest is None or kept.seq > newest.seq:
                newest = kept
        return newest

    def receipted_seq(self) -> int:
        """The highest job number up to which nothing waits for a receipt."""
        waiting = [kept.seq for index, kept in self._completions.items() if self._unreceipted >> index & 1]
        if self.job is not None:
            waiting.append(self.job.seq)
        return min(waiting) - 1 if waiting else self.last_seq

    def has_room(self) -> bool:
        """Whether one more completion can be kept without dropping one that was not receipted."""
        return self._pending_done is None and self._free_index() is not None

    # What the others change.

    def take(self, job: Job) -> None:
        """A new job in hand, to be saved."""
        self._before_job = self.last_seq
        self.job = job
        self.last_seq = max(self.last_seq, job.seq)
        self.touch()

    def give_back(self) -> None:
        """The job could not be saved: as if it had never come."""
        self.job = None
        self.last_seq = self._before_job
        self.touch()

    def keep(self, job: str, seq: int, payload: bytes) -> bool:
        """Save a completion; once it is in flash, its job is over. False when there is no room for it now."""
        index = self._free_index()
        if self._pending_done is not None or index is None:
            return False
        self._pending_done = (index, Kept(job, seq, payload))
        return True

    def receipt(self, job: str, seq: int) -> bool:
        """The server has this completion. False when it was not waiting for that."""
        for index, kept in self._completions.items():
            if kept.seq == seq and kept.job == job and self._unreceipted >> index & 1:
                self._unreceipted &= ~(1 << index)
                self.touch()
                return True
        return False

    def resend(self, from_seq: int) -> None:
        """Every completion kept from this number on waits for a receipt again."""
        before = self._unreceipted
        for index, kept in self._completions.items():
            if kept.seq >= from_seq:
                self._unreceipted |= 1 << index
        if self._unreceipted != before:
            self.touch()

    def configure(self, config: ConfigureDispenser) -> None:
        """Save this configuration as soon as no job is in hand, if it is newer: a job ends as it began."""
        pending = self._pending_config
        if config.version > (pending.version if pending else self.config_version):
            self._pending_config = config

    # Writing.

    def pump(self, now_ms: int, out: "list[Port]") -> None:
        """Order the next write, if one is due and none is under way. Not to be called while a flask is open."""
        due = self._due()
        if self._writing or not due or now_ms < self._retry_at_ms:
            return
        healthy = [kind for kind in due if kind not in self._failed]
        kind = (healthy or due)[0]
        if kind == _DONE and self._pending_done is not None:
            index, kept = self._pending_done
            name = flash.DONE[index]
            content = flash.seal(kept.payload)
        elif kind == _CONFIG and self._pending_config is not None:
            name = flash.CONFIG
            content = flash.seal(codec.encode(self._pending_config))
        else:
            name = flash.STATES[1 - self._newest]
            content = self._state()
            self._writing_version = self.version
            self._shown_next = (self.job.id if self.job else None, self.last_seq, self.receipted_seq())
        self._writing = name
        self.writes += 1
        out.append(Save(name, content))

    def saved(self, now_ms: int, slot: str, ok: bool) -> str:
        """The answer to the write under way. Returns the kind of what was written; "" for an answer to nothing."""
        if not slot or slot != self._writing:
            return ""
        self._writing = ""
        kind = STATE if slot in flash.STATES else _CONFIG if slot == flash.CONFIG else _DONE
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
            self.saved_version = self._writing_version
            self.shown = self._shown_next
        elif kind == _CONFIG:
            self._configured()
        else:
            self._kept()
        return kind

    def wake_at_ms(self) -> "int | None":
        """When `pump` has something to try again."""
        return self._retry_at_ms if self._failed and not self._writing and self._due() else None

    def _due(self) -> "list[str]":
        due = []
        if self._pending_done is not None:
            due.append(_DONE)
        if not self.is_clean():
            due.append(STATE)
        if self._pending_config is not None and self.job is None:
            due.append(_CONFIG)
        return due

    def _kept(self) -> None:
        if self._pending_done is None:
            return
        index, kept = self._pending_done
        self._pending_done = None
        self._finish(index, kept)
        self.touch()

    def _finish(self, index: int, kept: Kept) -> None:
        self._completions[index] = kept
        self._unreceipted |= 1 << index
        self.last_seq = max(self.last_seq, kept.seq)
        self.fresh.append(kept)
        if self.job is not None and self.job.seq == kept.seq:
            self.job = None

    def _configured(self) -> None:
        config = self._pending_config
        if config is not None:
            self.flasks = config.flasks
            self.config_version = config.version
        self._pending_config = None

    def _free_index(self) -> "int | None":
        """The slot for one more completion: an empty one, else that of the oldest receipted one."""
        oldest = None  # type: int | None
        for index in range(KEPT_COMPLETIONS):
            if index not in self._completions:
                return index
            receipted = not self._unreceipted >> index & 1
            if receipted and (oldest is None or self._completions[index].seq < self._completions[oldest].seq):
                oldest = index
        return oldest

    def _state(self) -> bytes:
        job = self.job
        items = []
        for item in job.items if job else ():
            items.append(
                flash.StoredItem(
                    flask=item.flask,
                    target_mg=item.target_mg,
                    state=item.state,
                    dispensed_mg=item.dispensed_mg,
                    duration_ms=item.duration_ms,
                    error=item.error,
                )
            )
        return flash.write_state(
            flash.StoredState(
                generation=self._generation + 1,
                epoch=self.epoch,
                boot=self.boot,
                last_seq=self.last_seq,
                unreceipted=self._unreceipted,
                job=job.id if job else None,
                seq=job.seq if job else 0,
                items=tuple(items),
            )
        )

    # Loading.

    def _adopt(self, state: flash.StoredState, lost: bool) -> None:
        self._generation = state.generation
        self.epoch = state.epoch
        # The lost generation may have been the save of one more boot.
        self.boot = min(state.boot + (2 if lost else 1), MAX_COUNT)
        self.last_seq = state.last_seq
        self._unreceipted = state.unreceipted
        if state.job is None:
            return
        items = []
        for one in state.items:
            items.append(Item(one.flask, one.target_mg, one.state, one.dispensed_mg, one.duration_ms, one.error))
        self.job = Job(state.job, state.seq, items)
        interrupted = [item for item in items if item.state == "dispensing"]
        following = self.job.next_pending()
        if lost and not interrupted and following is not None:
            items[following].move("dispensing")
            interrupted = [items[following]]
        for item in interrupted:
            item.move("in_doubt", error="interrupted")

    def _load_completions(self, slots: "dict[str, bytes]", problems: "list[str]") -> None:
        for index, name in enumerate(flash.DONE):
            kept = self._read_completion(slots.get(name))
            if kept is None:
                if self._unreceipted >> index & 1:
                    self._unreceipted &= ~(1 << index)
                    problems.append(f"{name} is unreadable: a completion that was not receipted is lost")
            elif self.job is not None and self.job.is_over() and (kept.job, kept.seq) == (self.job.id, self.job.seq):
                # Power went between this save and the next; it may have been published, so it stays as it is.
                self._finish(index, kept)
            elif kept.seq <= self.last_seq:
                self._completions[index] = kept
            else:
                # A cancellation whose number was never saved: the server repeats it.
                self._unreceipted &= ~(1 << index)

    def _read_completion(self, content: "bytes | None") -> "Kept | None":
        body = flash.unseal(content)
        if body is None:
            return None
        try:
            done = codec.decode(JobCompleted, body)
        except codec.Malformed:
            return None
        return Kept(done.job, done.seq, body) if done.epoch == self.epoch else None

    def _load_config(self, content: "bytes | None", problems: "list[str]") -> None:
        body = flash.unseal(content)
        try:
            config = codec.decode(ConfigureDispenser, body) if body is not None else None
        except codec.Malformed:
            config = None
        if config is not None:
            self.flasks = config.flasks
            self.config_version = config.version
        elif content is not None:
            problems.append("the configuration in flash is unreadable: it comes again from the broker")
