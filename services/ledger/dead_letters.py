"""Messages that changed nothing, kept with the reason. Bounded: the oldest are dropped and counted."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from services.ledger.tables import counter, dead_letter

# Rows kept: a fleet with one broken firmware fills this within hours, and the last thousands tell the same story.
KEPT_ROWS = 10_000

# Twice what a dispenser may send, so whatever one of ours could have meant is kept whole.
KEPT_BYTES = 8192

DROPPED = "dead_letters_dropped"

# Every reason, with words for the operator.
REASONS = {
    "bad_topic": "The topic is not one that a dispenser publishes to.",
    "too_large": "The message is larger than the protocol allows.",
    "malformed": "The payload is not the message that its topic carries.",
    "unknown_device": "No dispenser of this name was claimed. Claim it; it will report again.",
    "unknown_job": "No job of this id exists. The database may have been restored from a backup.",
    "other_device": "The job belongs to another dispenser.",
    "wrong_item": "The flask or the amount is not what the job asked for.",
    "not_offered": "The job was not offered under this number, or not to this flash store.",
    "unsettled": "A defect of this program kept the message from being settled. Report it; replay it once mended.",
    "conflict": "The item's end is already recorded, with different content.",
}


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that changed nothing: `reason` is a key of `REASONS`, `detail` says what exactly was wrong."""

    topic: str
    payload: bytes
    reason: str
    detail: str


def keep(tx: Connection, letters: Sequence[DeadLetter], now_ms: int) -> None:
    """Store the letters. Content that is already there (topic and payload) only counts up."""
    if not letters:
        return
    by_content: dict[str, tuple[DeadLetter, int]] = {}
    for letter in letters:
        content = content_sha256(letter.topic, letter.payload)
        first, times = by_content.get(content, (letter, 0))
        by_content[content] = (first, times + 1)
    insert = postgresql.insert if tx.dialect.name == "postgresql" else sqlite.insert
    put = insert(dead_letter)
    put = put.on_conflict_do_update(
        index_elements=[dead_letter.c.content_sha256],
        set_={
            "times": dead_letter.c.times + put.excluded.times,
            "last_at_ms": put.excluded.last_at_ms,
        },
    )
    # In the order of the content, so that two writers never wait for each other in a circle.
    rows = [_row(content, *by_content[content], now_ms) for content in sorted(by_content)]
    tx.execute(put, rows)
    _trim(tx)


def content_sha256(topic: str, payload: bytes) -> str:
    """Two messages are the same when this is; a row whose own topic and payload give another was not kept whole."""
    return hashlib.sha256(topic.encode(errors="surrogatepass") + b"\0" + payload).hexdigest()


def _row(content: str, letter: DeadLetter, times: int, now_ms: int) -> dict[str, object]:
    return {
        "at_ms": now_ms,
        "last_at_ms": now_ms,
        "times": times,
        # PostgreSQL's text takes neither zero characters nor lone surrogates.
        "topic": _storable(letter.topic[:200]),
        "reason": letter.reason,
        "detail": _storable(letter.detail[:200]),
        "payload": letter.payload[:KEPT_BYTES],
        "size_bytes": len(letter.payload),
        "content_sha256": content,
    }


def _storable(value: str) -> str:
    return value.replace("\0", "\ufffd").encode(errors="replace").decode()


def _trim(tx: Connection) -> None:
    oldest_kept = select(dead_letter.c.id).order_by(dead_letter.c.id.desc()).offset(KEPT_ROWS - 1).limit(1)
    dropped = tx.execute(delete(dead_letter).where(dead_letter.c.id < oldest_kept.scalar_subquery())).rowcount
    if dropped:
        count_up(tx, DROPPED, dropped)


def count_up(tx: Connection, name: str, by: int) -> None:
    """Add to a named total."""
    insert = postgresql.insert if tx.dialect.name == "postgresql" else sqlite.insert
    put = insert(counter).values(name=bindparam("counter_name"), value=bindparam("counter_by"))
    put = put.on_conflict_do_update(
        index_elements=[counter.c.name], set_={"value": counter.c.value + put.excluded.value}
    )
    tx.execute(put, {"counter_name": name, "counter_by": by})
