"""A dispenser's flash: named slots that survive a power cut, each holding old or new content and nothing between."""

from pathlib import Path

_TEMPORARY = ".tmp"


class Flash:
    """Slots in memory, and in `directory` too where one is given, so that they outlive this process.

    `save_ms` is how long the board takes over one save (it asks, this does not wait); while `full`, every save fails
    and the old content stands.
    """

    __slots__ = ("_directory", "_slots", "full", "save_ms", "writes")

    def __init__(self, directory: Path | None = None, save_ms: int = 0) -> None:
        self._directory = directory
        self._slots: dict[str, bytes] = {}
        self.save_ms = save_ms
        self.full = False
        self.writes = 0
        if directory is not None:
            directory.mkdir(parents=True, exist_ok=True)
            files = [file for file in directory.iterdir() if file.suffix != _TEMPORARY]
            self._slots = {file.name: file.read_bytes() for file in files}

    def read(self) -> dict[str, bytes]:
        """Every slot, as a boot finds it."""
        return dict(self._slots)

    def save(self, slot: str, data: bytes) -> bool:
        """Replace one slot in one step. False: it is full or its directory not writable; the old stands."""
        if self.full:
            return False
        if self._directory is not None:
            # No fsync: this must survive the end of the process, not of the machine, and the page cache does.
            temporary = self._directory / (slot + _TEMPORARY)
            try:
                temporary.write_bytes(data)
                temporary.replace(self._directory / slot)
            except OSError:
                return False
        self._slots[slot] = data
        self.writes += 1
        return True

    def cut(self, slot: str, data: bytes) -> None:
        """Power went while the slot was being saved: the old content stands."""

    def wipe(self) -> None:
        """A replaced board: every slot is gone."""
        for slot in self._slots:
            if self._directory is not None:
                (self._directory / slot).unlink(missing_ok=True)
        self._slots.clear()
