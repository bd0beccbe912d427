"""Fixtures for the dispenser core."""

import pytest

from tests.firmware.bench import Bench, online_bench


@pytest.fixture
def bench() -> Bench:
    """A dispenser with three flasks, online and configured."""
    return online_bench()
