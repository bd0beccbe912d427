"""Fixtures for what runs in the MicroPython VM."""

from pathlib import Path

import pytest

from tests.micropython import image


@pytest.fixture(scope="session")
def vm_image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The firmware without its drivers, and what stands around it in the VM."""
    return image.build(tmp_path_factory.mktemp("image"), image.INSIDE, *image.FIRMWARE)
