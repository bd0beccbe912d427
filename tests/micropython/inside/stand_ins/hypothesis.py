"""hypothesis without its search and its shrinking: each property is tried with random values from a fixed seed."""

from tests.micropython.inside.stand_ins.random import Random

# The search for counter-examples is CPython's work. Here it is seen that MicroPython agrees.
EXAMPLES = 20


class HealthCheck:
    """Names only."""

    too_slow = "too_slow"


def settings(**_options: "object") -> "object":
    """How hard to search: nothing to do here."""
    return lambda test: test


class Strategy:
    """`draw(rng)` gives a value."""

    def __init__(self, draw: "object") -> None:
        self.draw = draw

    def map(self, change: "object") -> "Strategy":
        return Strategy(lambda rng: change(self.draw(rng)))  # type: ignore[operator]  # callables, untyped here

    def filter(self, keeps: "object") -> "Strategy":
        return Strategy(lambda rng: _first(self.draw, keeps, rng))

    def __or__(self, other: "Strategy") -> "Strategy":
        return Strategy(lambda rng: (self if rng.getrandbits(1) else other).draw(rng))  # type: ignore[operator]  # as above


def _first(draw: "object", keeps: "object", rng: Random) -> "object":
    for _ in range(1000):
        value = draw(rng)  # type: ignore[operator]  # as above
        if keeps(value):  # type: ignore[operator]  # as above
            return value
    raise ValueError("the filter keeps nothing")


class Property:
    """A test with strategies: the positional ones are for its last arguments."""

    def __init__(self, test: "object", positional: "tuple[Strategy, ...]", named: "dict[str, Strategy]") -> None:
        self.test = test
        self.positional = positional
        self.named = named


def given(*positional: Strategy, **named: Strategy) -> "object":
    """As hypothesis's."""
    return lambda test: Property(test, positional, named)


class DataObject:
    """What `data()` gives."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng

    def draw(self, strategy: Strategy) -> "object":
        return strategy.draw(self._rng)  # type: ignore[operator]  # as above


class strategies:  # noqa: N801  # hypothesis's module
    """`hypothesis.strategies`."""

    DataObject = DataObject

    @staticmethod
    def integers(low: int, high: int) -> Strategy:
        def draw(rng: Random) -> int:
            # The bounds are what breaks things.
            choice = rng.getrandbits(3)
            return low if choice == 0 else high if choice == 1 else rng.randint(low, high)

        return Strategy(draw)

    @staticmethod
    def booleans() -> Strategy:
        return Strategy(lambda rng: bool(rng.getrandbits(1)))

    @staticmethod
    def none() -> Strategy:
        return Strategy(lambda _rng: None)

    @staticmethod
    def sampled_from(values: "object") -> Strategy:
        choices = list(values)  # type: ignore[call-overload]  # any iterable
        return Strategy(lambda rng: rng.choice(choices))

    @staticmethod
    def lists(of: Strategy, min_size: int = 0, max_size: int = 5) -> Strategy:
        return Strategy(lambda rng: [of.draw(rng) for _ in range(rng.randint(min_size, max_size))])  # type: ignore[operator]  # as above

    @staticmethod
    def tuples(*of: Strategy) -> Strategy:
        return Strategy(lambda rng: tuple([one.draw(rng) for one in of]))  # type: ignore[operator]  # as above

    @staticmethod
    def binary(max_size: int = 20) -> Strategy:
        return Strategy(lambda rng: bytes([rng.getrandbits(8) for _ in range(rng.randint(0, max_size))]))

    @staticmethod
    def characters(min_codepoint: int = 32, exclude_characters: str = "", exclude_categories: "object" = ()) -> str:
        """A sample of one, two, three and four bytes."""
        return "aZ09 \"\\/{}[]:,'\u00e9\u20ac\U0001f9c2"

    @staticmethod
    def text(of: "str", min_size: int = 0, max_size: int = 10) -> Strategy:
        chars = list(of)
        return Strategy(lambda rng: "".join([rng.choice(chars) for _ in range(rng.randint(min_size, max_size))]))

    @staticmethod
    def fixed_dictionaries(of: "dict[str, Strategy]", optional: "dict[str, Strategy] | None" = None) -> Strategy:
        def draw(rng: Random) -> "dict[str, object]":
            values = {name: one.draw(rng) for name, one in of.items()}  # type: ignore[operator]  # as above
            for name, one in (optional or {}).items():
                if rng.getrandbits(1):
                    values[name] = one.draw(rng)  # type: ignore[operator]  # as above
            return values

        return Strategy(draw)

    @staticmethod
    def data() -> Strategy:
        return Strategy(DataObject)
