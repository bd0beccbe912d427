"""New names for jobs: ULIDs, so that they sort by time and indexes grow at one end."""

from ulid import ULID


def new_id() -> str:
    """26 characters of `[0-9A-Z]`, unlike any other."""
    return str(ULID())
