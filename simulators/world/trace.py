"""What happened in a world, in order: the same seed writes the same bytes."""

from collections.abc import Callable

Note = tuple[int, str, tuple[object, ...]]


class Trace:
    """Notes of (virtual ms, what, details), each numbered from 1. `at` calls back right after a number was given."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self.notes: list[Note] = []
        self._now_ms = now_ms
        self._waiting: list[tuple[int, Callable[[], None]]] = []

    def note(self, what: str, *details: object) -> None:
        """Write one note. Details are texts, numbers and bytes."""
        self.notes.append((self._now_ms(), what, details))
        while self._waiting and self._waiting[-1][0] <= len(self.notes):
            self._waiting.pop()[1]()

    def at(self, number: int, call: Callable[[], None]) -> None:
        """Call once that many notes are written; of several at one number the one asked for first is first."""
        self._waiting.append((number, call))
        self._waiting.sort(key=lambda one: one[0], reverse=True)

    def lines(self) -> list[str]:
        """One line a note."""
        return [f"{at_ms:>8} {what:<18} {_words(details)}".rstrip() for at_ms, what, details in self.notes]

    def dump(self) -> bytes:
        """The whole trace."""
        return "\n".join(self.lines()).encode()


def _words(details: tuple[object, ...]) -> str:
    return " ".join([one.decode(errors="replace") if isinstance(one, bytes) else str(one) for one in details])
