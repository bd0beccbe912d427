"""One batch is one transaction; when a defect makes it fail, one message at a time, so that none blocks the others."""

from collections.abc import Sequence

import structlog

from services.ingest.ahead import Heard
from services.ledger import dead_letters
from services.ledger.database import Database, DatabaseUnavailable
from services.ledger.dead_letters import DeadLetter
from services.ledger.settle import Incoming, Read, Settled, read, settle_read

log = structlog.get_logger(__name__)


def settle_batch(database: Database, batch: Sequence[Heard], now_ms: int) -> list[Settled]:
    """What became of the batch: one result, or one for each message. Raises `DatabaseUnavailable`; then nothing did."""
    try:
        return [_settle(database, [_said(heard) for heard in batch], now_ms)]
    except DatabaseUnavailable:
        raise
    except Exception:  # a defect, whatever it is: see below
        log.exception("a batch could not be settled; its messages are settled one by one", messages=len(batch))
    return [_settle_alone(database, heard, now_ms) for heard in batch]


def _settle_alone(database: Database, heard: Heard, now_ms: int) -> Settled:
    """Settle one message; when it fails it is a dead letter with the error, for whoever mends the defect."""
    try:
        return _settle(database, [_said(heard)], now_ms)
    except DatabaseUnavailable:
        raise
    except Exception as error:
        log.exception("a message could not be settled", topic=heard.incoming.topic)
        letter = DeadLetter(*heard.incoming, "unsettled", f"{type(error).__name__}: {error}")
    with database.write() as tx:
        dead_letters.keep(tx, [letter], now_ms)
    return Settled((), (), (), 1)


def _settle(database: Database, said: Sequence[Read], now_ms: int) -> Settled:
    with database.write() as tx:
        return settle_read(tx, said, now_ms)


def _said(heard: Heard) -> Read:
    # What could not be read is read again, where its error is met by whoever asked for it.
    return read(heard.said) if isinstance(heard.said, Incoming) else heard.said
