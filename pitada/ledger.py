"""The ledger that the settings name, for commands that need nothing else of the house."""

from pitada.secrets import read_secret
from services.ledger.database import Database
from services.settings import Settings


def open_database(settings: Settings) -> Database:
    """The ledger at this version's tables; the data directory is made where it is missing."""
    database = named_database(settings)
    database.migrate()
    return database


def named_database(settings: Settings) -> Database:
    """The ledger as it is: nothing is asked of it yet."""
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    password_file = settings.database_password_file
    return Database(settings.ledger_url, None if password_file is None else read_secret(password_file))
