"""A dead letter once more: settled again by the same path, when what kept it out may be gone; or dropped."""

from dataclasses import dataclass

from sqlalchemy import Connection, delete, select, update

from protocol import topics
from services.ledger.database import LedgerError
from services.ledger.dead_letters import content_sha256
from services.ledger.jobs import lock_device
from services.ledger.settle import Incoming, settle
from services.ledger.tables import dead_letter, device

# What a dispenser says of itself at that moment: true then, told anew at its next connect or within a minute.
_PASSING = (topics.STATUS, topics.TELEMETRY)


class LetterRefused(LedgerError):
    """The dead letter stays as it is. The text says why and what to do."""


class UnknownLetter(LetterRefused):
    """There is no such dead letter (any more)."""


class CutLetter(LetterRefused):
    """Only a part of the message was kept."""


class PassedLetter(LetterRefused):
    """The message said how things were then."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """What came of it. `reason` is None when the message settled: the letter is gone then.

    changed_jobs: the jobs that it changed. flasks: (device, flask) of stock that moved. Both empty: all was known.
    """

    reason: str | None
    detail: str
    changed_jobs: tuple[str, ...] = ()
    flasks: tuple[tuple[str, int], ...] = ()


def replay(tx: Connection, letter: int, now_ms: int) -> Replayed:
    """Settle the letter's message again. When it still does not fit it stays, with the reason of today.

    Its dispenser was not heard by this: `seen_at_ms` stays. Raises `UnknownLetter`, `CutLetter`, `PassedLetter`.
    """
    table = dead_letter
    found = tx.execute(select(table).where(table.c.id == letter)).first()
    if found is None:
        raise unknown(letter)
    if content_sha256(found.topic, found.payload) != found.content_sha256:
        raise CutLetter(
            f"Dead letter {letter} was cut to {len(found.payload)} of {found.size_bytes} bytes, so it cannot be "
            "replayed. Drop it, or let the dispenser report again."
        )
    name = _sender(letter, found.topic)
    # Dispenser first, as everyone: ingest holds it when it writes letters.
    if name is not None:
        lock_device(tx, name)
    seen_at_ms = tx.execute(select(device.c.seen_at_ms).where(device.c.device == name)).scalar()
    trial = tx.begin_nested()
    # Out of the way of its own content, so that what still does not fit comes back as a new row.
    if not tx.execute(delete(table).where(table.c.id == letter)).rowcount:
        raise unknown(letter)
    settled = settle(tx, [Incoming(found.topic, found.payload)], now_ms)
    if settled.dead_letters:
        why = tx.execute(
            select(table.c.reason, table.c.detail).where(table.c.content_sha256 == found.content_sha256)
        ).one()
        trial.rollback()
        tx.execute(update(table).where(table.c.id == letter).values(reason=why.reason, detail=why.detail))
        return Replayed(why.reason, why.detail)
    tx.execute(update(device).where(device.c.device == name).values(seen_at_ms=seen_at_ms))
    trial.commit()
    flasks = tuple((of, flask) for of, flask, _ in settled.stock)
    return Replayed(None, "", settled.changed_jobs, flasks)


def drop(tx: Connection, letter: int) -> None:
    """Forget the letter. Raises `UnknownLetter`."""
    if not tx.execute(delete(dead_letter).where(dead_letter.c.id == letter)).rowcount:
        raise unknown(letter)


def unknown(letter: int) -> UnknownLetter:
    """What to raise for a number that no dead letter has."""
    return UnknownLetter(f"There is no dead letter {letter}: look at the list again.")


def _sender(letter: int, topic: str) -> str | None:
    """The dispenser that the topic names. Raises `PassedLetter` for a message that is of no use any more."""
    try:
        name, channel, _ = topics.parse(topic)
    except topics.BadTopic:
        return None
    if channel in _PASSING:
        raise PassedLetter(
            f"Dead letter {letter} says how {name} was when it came ({channel.name}): replayed now it would be untrue. "
            "Drop it: the dispenser tells it anew by itself."
        )
    return name
