"""The collector is set for batches, and the limit of open files for many connections."""

import gc
import resource
from collections.abc import Iterator

import pytest

from pitada.process import raise_open_files, spare_the_collector


@pytest.fixture
def as_before() -> Iterator[None]:
    threshold = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*threshold)


@pytest.mark.usefixtures("as_before")
def test_what_is_imported_is_not_walked_again_and_a_batch_starts_no_collection() -> None:
    spare_the_collector()
    assert gc.get_freeze_count() > 10_000
    before = gc.get_stats()[0]["collections"]
    kept = [[number] for number in range(20_000)]
    assert gc.get_stats()[0]["collections"] - before <= 1
    assert len(kept) == 20_000


@pytest.mark.parametrize(
    ("limits", "asked", "allowed", "is_set"),
    [
        ((1024, 4096), 2000, 2000, (2000, 4096)),
        ((1024, 4096), 9000, 4096, (4096, 4096)),
        ((1024, resource.RLIM_INFINITY), 9000, 9000, (9000, resource.RLIM_INFINITY)),
        ((9000, 9000), 2000, 9000, None),
        ((resource.RLIM_INFINITY, resource.RLIM_INFINITY), 2000, 2000, None),
    ],
)
def test_the_limit_of_open_files_is_raised_as_far_as_it_may_be_and_never_lowered(
    monkeypatch: pytest.MonkeyPatch,
    limits: tuple[int, int],
    asked: int,
    allowed: int,
    is_set: tuple[int, int] | None,
) -> None:
    calls: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _which: limits)
    monkeypatch.setattr(resource, "setrlimit", lambda _which, new: calls.append(new))
    assert raise_open_files(asked) == allowed
    assert calls == ([] if is_set is None else [is_set])
