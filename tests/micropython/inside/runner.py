"""Runs pytest's test functions in the VM. Argument names come from the host: MicroPython does not keep them."""

import sys

from tests.micropython.inside.stand_ins import counter, hypothesis, itertools, pytest, random


class _Names:
    """The names that the tests' annotations use, of `typing` and of `collections.abc`."""

    Any = Callable = Iterator = Sequence = None


def install() -> None:
    import collections

    collections.Counter = counter.Counter  # type: ignore[assignment,misc]  # MicroPython has none
    modules = sys.modules
    modules["pytest"] = pytest
    modules["hypothesis"] = hypothesis
    modules["random"] = random
    modules["itertools"] = itertools
    modules["typing"] = modules["collections.abc"] = _Names()  # type: ignore[assignment]  # stands in for them


async def run(module: str, tests: "list[tuple[str, list[str]]]", fixtures: str) -> None:
    """Run the tests of one module, each given with the names of its arguments; one line for each.

    `fixtures` names the module whose functions give what no parameter does; "" when there is none.
    """
    install()
    __import__(module)
    if fixtures:
        __import__(fixtures)
    for name, arguments in tests:
        try:
            count = _run(getattr(sys.modules[module], name), arguments, fixtures)
            print("passed", name, count)
        except Exception as error:
            sys.print_exception(error)  # type: ignore[attr-defined]  # MicroPython's
            print("failed", name)


def _run(test: "object", arguments: "list[str]", fixtures: str) -> int:
    rows = [{}]  # type: list[dict[str, object]]
    strategies = {}  # type: dict[str, hypothesis.Strategy]
    while not callable(test):
        if isinstance(test, pytest.Case):
            names = test.names
            rows = [_with(row, names, values) for values in test.rows for row in rows]
        elif isinstance(test, hypothesis.Property):
            strategies.update(test.named)
            count = len(test.positional)
            strategies.update(dict(zip(arguments[len(arguments) - count :], test.positional)))  # noqa: B905  # none here
        test = test.test  # type: ignore[attr-defined]  # one of the two
    count = 0
    for row in rows:
        for seed in range(hypothesis.EXAMPLES if strategies else 1):
            rng = random.Random(seed)
            values = dict(row)
            for name, strategy in strategies.items():
                values[name] = strategy.draw(rng)  # type: ignore[operator]  # callables, untyped here
            for name in arguments:
                if name not in values:
                    values[name] = getattr(sys.modules[fixtures], name)()
            test(**values)
            count += 1
    return count


def _with(row: "dict[str, object]", names: "tuple[str, ...]", values: "tuple[object, ...]") -> "dict[str, object]":
    both = dict(row)
    both.update(dict(zip(names, values)))  # noqa: B905  # MicroPython's zip has no strict
    return both
