"""The command line for the pages that show it."""

from tests.pitada.cli.conftest import data_dir, pitada

__all__ = ["data_dir", "pitada"]
