"""pytest's `mark.parametrize`, `fixture` and `raises`. Functions have no attributes in MicroPython: a mark wraps."""

import re


class Case:
    """A test with one more list of values to run with."""

    def __init__(self, test: "object", names: "tuple[str, ...]", rows: "list[tuple[object, ...]]") -> None:
        self.test = test
        self.names = names
        self.rows = rows


class mark:  # noqa: N801  # pytest's name
    """`pytest.mark`."""

    @staticmethod
    def parametrize(names: "str | tuple[str, ...]", values: "object", ids: "object" = None) -> "object":
        """As pytest's; ids are for its reports only."""
        named = (names,) if isinstance(names, str) else names
        rows = [(value,) if isinstance(names, str) else tuple(value) for value in values]  # type: ignore[attr-defined]  # any iterable
        return lambda test: Case(test, named, rows)


def fixture(function: "object") -> "object":
    """The runner calls fixtures by their names."""
    return function


class raises:  # noqa: N801  # pytest's name
    """`with raises(Kind, match=pattern)`: the block raises it, and its text has the pattern."""

    def __init__(self, kind: "type[BaseException]", match: str = "") -> None:
        self._kind = kind
        self._match = match

    def __enter__(self) -> "raises":
        return self

    def __exit__(self, kind: "type[BaseException] | None", error: "object", trace: "object") -> bool:
        if kind is None:
            raise AssertionError("%s was not raised" % self._kind.__name__)
        if not issubclass(kind, self._kind):
            return False
        if self._match and not re.search(self._match, str(error)):
            raise AssertionError("%s does not match %s" % (error, self._match))
        return True
