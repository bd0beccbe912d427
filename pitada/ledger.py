"""The ledger that the settings name, for commands that need nothing else of the house."""

from services.ledger.database import Database
from services.settings import Settings


def open_database(settings: Settings) -> Database:
    """The ledger at this version's tables; the data directory is made where it is missing."""
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    database = Database(settings.ledger_url)
    database.migrate()
    return database
