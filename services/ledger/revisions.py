"""Of which revision the tables are, and how they come up to this version's.

alembic is loaded only to change them: a service that starts again after a crash asks which they are, and serves sooner.
"""

from pathlib import Path

from sqlalchemy import Connection, inspect, text

_MIGRATIONS = Path(__file__).with_name("migrations")

# The file of a revision begins with its name, and a newer one's with a greater number.
_KNOWN = sorted(path.name.partition("_")[0] for path in (_MIGRATIONS / "versions").glob("[0-9]*.py"))

KNOWN = frozenset(_KNOWN)
"""Every revision that this version can bring up to its own."""

HEAD = _KNOWN[-1]
"""This version's own."""


def current(tx: Connection) -> str | None:
    """The revision of the tables; None where there are none yet."""
    if not inspect(tx).has_table("alembic_version"):
        return None
    return tx.execute(text("SELECT version_num FROM alembic_version")).scalar()


def upgrade(tx: Connection) -> None:
    """Bring the tables from whichever known revision to `HEAD`, in the caller's transaction."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes["connection"] = tx
    command.upgrade(config, "head")
