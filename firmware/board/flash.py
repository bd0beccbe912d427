"""Flash slots as files of one directory: each holds old or new content after a power cut, and nothing between."""

import os

# Never a slot's name: they have letters before the point and letters or digits after it.
_TEMPORARY = "~"


class Flash:
    """The slots in `directory`, which is there already. Both calls block; no flask is open then."""

    def __init__(self, directory: str) -> None:
        self._directory = directory

    def read(self) -> "dict[str, bytes]":
        """Every slot that can be read, as a boot finds it."""
        slots = {}
        for name in os.listdir(self._directory):
            if name.startswith(_TEMPORARY):
                continue  # power went while it was written
            try:
                with open(self._path(name), "rb") as file:
                    slots[name] = file.read()
            except OSError:
                pass  # a slot that cannot be read is no slot: the core says so
        return slots

    def save(self, slot: str, data: bytes) -> bool:
        """Replace one slot in one step. False: it did not work, the old content stands."""
        temporary = self._path(_TEMPORARY)
        try:
            # Content is durable once its file is closed, and a rename replaces the old file in one step: littlefs
            # promises both. An error inside the block would close half a file, and that is not renamed.
            with open(temporary, "wb") as file:
                file.write(data)
            os.rename(temporary, self._path(slot))
        except OSError:
            return False
        return True

    def _path(self, name: str) -> str:
        return self._directory + "/" + name
