"""The collector is set for batches."""

import gc
from collections.abc import Iterator

import pytest

from pitada.process import spare_the_collector


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
