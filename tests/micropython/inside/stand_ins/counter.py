"""`collections.Counter`."""


class Counter:
    """How often each value came."""

    def __init__(self, values: "object" = ()) -> None:
        self._counts = {}  # type: dict[object, int]
        for value in values:  # type: ignore[attr-defined]  # any iterable
            self[value] += 1

    def __getitem__(self, key: "object") -> int:
        return self._counts.get(key, 0)

    def __setitem__(self, key: "object", count: int) -> None:
        self._counts[key] = count

    def get(self, key: "object", default: "int | None" = None) -> "int | None":
        return self._counts.get(key, default)

    def values(self) -> "list[int]":
        return list(self._counts.values())

    def items(self) -> "list[tuple[object, int]]":
        return list(self._counts.items())
