"""What happened in a world, in order: the same seed writes the same bytes."""

import heapq
import itertools
from collections.abc import Callable

Note = tuple[int, str, tuple[object, ...]]


class Trace:
    """Notes of (virtual ms, what, details), each numbered from 1. `at` calls back right after a number was given."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self.notes: list[Note] = []
        self._now_ms = now_ms
        self._waiting: list[tuple[int, int, Callable[[], None]]] = []
        self._count = itertools.count()

    def note(self, what: str, *details: object) -> None:
        """Write one note. Details are texts, numbers and bytes."""
        self.notes.append((self._now_ms(), what, details))
        while self._waiting and self._waiting[0][0] <= len(self.notes):
            heapq.heappop(self._waiting)[-1]()

    def at(self, number: int, call: Callable[[], None]) -> None:
        """Call once that many notes are written; of several at one number the one asked for first is first."""
        heapq.heappush(self._waiting, (number, next(self._count), call))

    @property
    def silent_ms(self) -> int:
        """How long ago the last note was written, or the world began."""
        return self._now_ms() - (self.notes[-1][0] if self.notes else 0)

    def lines(self) -> list[str]:
        """One line a note."""
        return [f"{at_ms:>8} {what:<18} {_words(details)}".rstrip() for at_ms, what, details in self.notes]

    def dump(self) -> bytes:
        """The whole trace."""
        return "\n".join(self.lines()).encode()


def _words(details: tuple[object, ...]) -> str:
    return " ".join([one.decode(errors="replace") if isinstance(one, bytes) else str(one) for one in details])
