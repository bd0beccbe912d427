"""The last completions, one a flash slot, until the server has them and for a while after.

They are kept as the bytes that are published: however often a report is repeated, it is the same to the last byte.
"""

from firmware.core import slots as flash
from firmware.core.job import Job
from protocol import codec
from protocol.limits import KEPT_COMPLETIONS
from protocol.messages import JobCompleted


class Kept:
    """A completion in flash."""

    __slots__ = ("job", "payload", "seq")

    def __init__(self, job: str, seq: int, payload: bytes) -> None:
        self.job = job
        self.seq = seq
        self.payload = payload


class History:
    """Which completions are in which slot. `unreceipted` has bit n set while that in slot n waits for its receipt."""

    __slots__ = ("_kept", "unreceipted")

    def __init__(self) -> None:
        self._kept = {}  # type: dict[int, Kept]
        self.unreceipted = 0

    def find(self, job: str, seq: int) -> "Kept | None":
        """The completion of that job, if it is one of those kept."""
        for kept in self._kept.values():
            if kept.seq == seq and kept.job == job:
                return kept
        return None

    def of_job(self, job: str) -> "Kept | None":
        """The completion of that job under whatever number, if it is one of those kept."""
        for kept in self._kept.values():
            if kept.job == job:
                return kept
        return None

    def newest(self) -> "Kept | None":
        """The completion with the highest number."""
        newest = None  # type: Kept | None
        for kept in self._kept.values():
            if newest is None or kept.seq > newest.seq:
                newest = kept
        return newest

    def waiting(self) -> "list[Kept]":
        """Those that were not receipted."""
        return [kept for index, kept in self._kept.items() if self._waits(index)]

    def due(self) -> "list[Kept]":
        """What to publish until receipted: those that wait, and the newest, which has to stay the retained one."""
        waiting = self.waiting()
        newest = self.newest()
        if waiting and newest is not None and newest not in waiting:
            waiting.append(newest)
        return waiting

    def free_index(self) -> "int | None":
        """The slot for one more: an empty one, else that of the oldest receipted one, else None."""
        oldest = None  # type: int | None
        for index in range(KEPT_COMPLETIONS):
            if index not in self._kept:
                return index
            if not self._waits(index) and (oldest is None or self._kept[index].seq < self._kept[oldest].seq):
                oldest = index
        return oldest

    def add(self, index: int, kept: Kept) -> None:
        """The slot now holds this completion, and it waits for its receipt."""
        self._kept[index] = kept
        self.unreceipted |= 1 << index

    def receipt(self, job: str, seq: int) -> bool:
        """The server has it. False when none such was waiting."""
        for index, kept in self._kept.items():
            if kept.seq == seq and kept.job == job and self._waits(index):
                self.unreceipted &= ~(1 << index)
                return True
        return False

    def resend(self, from_seq: int) -> bool:
        """All from this number on wait for a receipt again. False when they all did already."""
        before = self.unreceipted
        for index, kept in self._kept.items():
            if kept.seq >= from_seq:
                self.unreceipted |= 1 << index
        return self.unreceipted != before

    def load(
        self, slots: "dict[str, bytes]", epoch: str, unreceipted: int, last_seq: int, in_hand: "Job | None"
    ) -> "tuple[list[str], list[Kept]]":
        """Read the slots. Returns what was wrong, in words, and the completions that the state does not know yet: of
        the job in hand, and of cancellations with higher numbers. It may have known them, in a generation that was
        lost, and then they may have been published: they stay as they are.
        """
        problems = []  # type: list[str]
        unknown = []  # type: list[Kept]
        self.unreceipted = unreceipted
        over = in_hand if in_hand is not None and in_hand.is_over() else None
        for index, name in enumerate(flash.DONE):
            kept = _read(slots.get(name), epoch)
            if kept is None:
                if self._waits(index):
                    self.unreceipted &= ~(1 << index)
                    problems.append(f"{name} is unreadable: a completion that was not receipted is lost")
            elif kept.seq > last_seq or (over is not None and (kept.job, kept.seq) == (over.id, over.seq)):
                self.add(index, kept)
                unknown.append(kept)
            else:
                self._kept[index] = kept
        return problems, unknown

    def _waits(self, index: int) -> bool:
        return bool(self.unreceipted >> index & 1)


def _read(content: "bytes | None", epoch: str) -> "Kept | None":
    body = flash.unseal(content)
    if body is None:
        return None
    try:
        done = codec.decode(JobCompleted, body)
    except codec.Malformed:
        return None
    return Kept(done.job, done.seq, body) if done.epoch == epoch else None
