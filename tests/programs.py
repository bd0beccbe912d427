"""The real programs that tests run against."""

import os
import shutil
from typing import NoReturn

import pytest

# Debian keeps servers where only root's PATH looks.
PLACES = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])


def need(*names: str) -> str:
    """The path of the first of these programs that is installed; see `absent` when none is."""
    paths = [path for name in names if (path := shutil.which(name, path=PLACES))]
    return paths[0] if paths else absent(f"{names[0]} is not installed")


def absent(what: str) -> NoReturn:
    """Something real is missing: a failure where CI=true, elsewhere the test is skipped and says so."""
    message = f"{what}. `bash scripts/servers.sh` installs it."
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)


def chromium() -> str:
    """The system's Chromium; the tests never use a browser of playwright's own."""
    return need("chromium", "chromium-browser", "google-chrome")
