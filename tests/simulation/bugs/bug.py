"""What a seeded bug is, and where they are registered."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, NamedTuple
from unittest.mock import patch

# A bug that is not seen in so many schedules counts as not seen.
WITHIN = 5000

Patch = AbstractContextManager[Any]


class Bug(NamedTuple):
    """What is wrong with the product while it is `patched`."""

    where: str
    what: str
    patched: Callable[[], Patch]


BUGS: dict[str, Bug] = {}


def bug(where: str, what: str) -> Callable[[Callable[[], Patch]], Callable[[], Patch]]:
    """Register what makes the patch, under its name."""

    def register(make: Callable[[], Patch]) -> Callable[[], Patch]:
        BUGS[make.__name__] = Bug(where, what, make)
        return make

    return register


def instead(owner: Any, name: str, new: Any) -> Patch:
    """Another value under that name."""
    return patch.object(owner, name, new)


def nothing(*_: Any, **__: Any) -> None:
    """Does nothing, instead of something."""
