"""What a dispenser takes of a fleet simulator's memory: asked of CPython's objects."""

import sys

from tests.firmware.bench import online_bench


def test_a_dispenser_takes_less_than_30_kilobytes() -> None:
    bench = online_bench()
    for seq in range(1, 10):
        bench.offer(seq, (1, 10), (2, 10), (3, 10))
        bench.run(lambda wanted=seq: bench.status().receipted_seq == wanted)  # type: ignore[misc]  # binds now
    bench.offer(10, (1, 5000), (2, 10), (3, 10))
    bench.run(lambda: len(bench.openings) == 28)
    assert bench.dispenser is not None
    assert deep_size(bench.dispenser, set()) < 30_000


def deep_size(thing: object, seen: set[int]) -> int:
    """Bytes of an object and all that only it reaches: not classes, functions or what the tests lent it."""
    if id(thing) in seen or isinstance(thing, type) or callable(thing):
        return 0
    seen.add(id(thing))
    size = sys.getsizeof(thing)
    if isinstance(thing, dict):
        return size + sum(deep_size(key, seen) + deep_size(value, seen) for key, value in thing.items())
    if isinstance(thing, (list, tuple, set, frozenset)):
        return size + sum(deep_size(one, seen) for one in thing)
    slots = [name for kind in type(thing).__mro__ for name in getattr(kind, "__slots__", ())]
    size += sum(deep_size(getattr(thing, name), seen) for name in slots if hasattr(thing, name))
    return size + (deep_size(thing.__dict__, seen) if hasattr(thing, "__dict__") else 0)
