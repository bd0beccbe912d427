"""Change a dispenser's flasks. What the dispenser must know goes out as its next configuration version."""

from collections.abc import Sequence

from services.devices import flasks as settings
from services.devices.errors import FlaskInUse, UnknownDispenser, UnknownFlask
from services.devices.flasks import FlaskChange
from services.ledger import accounts as rows
from services.ledger import jobs
from services.ledger.database import Database


def configure(db: Database, device: str, changes: Sequence[FlaskChange]) -> int | None:
    """Apply the changes, all or none. Returns the configuration version that dispatch will send.

    None: nothing changed that the dispenser needs to know. No job is offered until it confirms the version. Raises
    `UnknownDispenser`, `UnknownFlask`, `BadSetup`; `FlaskInUse` for a new ingredient in a flask that is not empty.
    """
    with db.write() as tx:
        if not jobs.lock_device(tx, device):
            raise UnknownDispenser(device)
        flasks = rows.flask_settings(tx, device)
        news: dict[int, dict[str, object]] = {}
        for change in changes:
            if change.flask not in flasks:
                raise UnknownFlask(device, change.flask, tuple(flasks))
            flask = flasks[change.flask]
            new = {name: value for name, value in change.values().items() if flask[name] != value}
            if "ingredient" in new and (flask["stock_mg"] or flask["reserved_mg"]):
                raise FlaskInUse(device, change.flask, flask["ingredient"])
            flask.update(new)
            news.setdefault(change.flask, {}).update(new)
        settings.check(list(flasks.values()))
        for number, new in sorted(news.items()):
            if new:
                rows.set_flask(tx, device, number, new)
        if any(settings.is_sent(new) for new in news.values()):
            return rows.want_new_config(tx, device)
        return None
