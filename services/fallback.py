"""Dispensers whose network lets no MQTT through: the same messages over HTTP, through the same ledger code.

What is told is what dispatch would send; what is taken goes through `settle`, as from the broker.
"""

from dataclasses import dataclass

from protocol import topics
from protocol.fields import Record
from protocol.messages import CompletionReceived, JobAccepted, JobCompleted, OfferJob, StatusReported
from services.ledger import dead_letters, outbox, polling
from services.ledger.database import Database
from services.ledger.facts import Fact, Incoming, Unreadable, dead, read
from services.ledger.settle import Settled, settle


class NotUnderstood(Exception):
    """The body is not the message that the address takes. It is kept as a dead letter; send it no more.

    `is_too_large`: it is larger than the protocol allows.
    """

    def __init__(self, detail: str, *, is_too_large: bool = False) -> None:
        super().__init__(detail)
        self.is_too_large = is_too_large


class NotPresent(Exception):
    """The ledger has the dispenser offline: it has to report its status, under a new connection number, first."""


@dataclass(frozen=True, slots=True)
class Orders:
    """The answer to a status. `online` false: report again under the next connection number.

    Each of the others is None when there is nothing to say.
    """

    online: bool
    config: Record | None
    cancel: Record | None
    resend: Record | None


def report(db: Database, device: str, payload: bytes, now_ms: int) -> Orders:
    """Take a status. Raises `NotUnderstood`."""
    message, _ = _take(db, topics.STATUS, device, payload, now_ms)
    assert isinstance(message, StatusReported)
    with db.write() as tx:
        online = polling.came(tx, device, message.boot, message.connection, now_ms)
        told = {one.channel: one.message for one in outbox.orders_of(tx, device, now_ms)}
        return Orders(online, told.get(topics.CONFIG), told.get(topics.CANCEL), polling.resend(tx, device))


def next_offer(db: Database, device: str, now_ms: int) -> OfferJob | None:
    """The job to run now; the same one until the dispenser says what became of it. Raises `NotPresent`."""
    with db.write() as tx:
        if not polling.came_again(tx, device, now_ms):
            raise NotPresent
        for one in outbox.orders_of(tx, device, now_ms):
            if isinstance(one.message, OfferJob):
                return one.message
    return None


def accept(db: Database, device: str, job: str, payload: bytes, now_ms: int) -> Settled:
    """Take the answer to an offer. Raises `NotUnderstood`."""
    _, settled = _take(db, topics.ACCEPT, device, payload, now_ms, job)
    return settled


def complete(db: Database, device: str, job: str, payload: bytes, now_ms: int) -> tuple[CompletionReceived, Settled]:
    """Take a completion, or the same once more. The receipt says that it is kept. Raises `NotUnderstood`."""
    message, settled = _take(db, topics.COMPLETION, device, payload, now_ms, job)
    assert isinstance(message, JobCompleted)
    return CompletionReceived(job=message.job, seq=message.seq, epoch=message.epoch), settled


def _take(
    db: Database, channel: topics.Channel, device: str, payload: bytes, now_ms: int, job: str | None = None
) -> tuple[Record, Settled]:
    incoming = Incoming(channel.topic(device), payload)
    got = read(incoming)
    if got is None:
        got = Unreadable(device, dead(incoming, "malformed", "an empty body"), None)
    if isinstance(got, Fact) and isinstance(got.message, JobAccepted | JobCompleted) and got.message.job != job:
        detail = f"the address names job {job}, the body job {got.message.job}"
        got = Unreadable(device, dead(incoming, "malformed", detail), None)
    with db.write() as tx:
        if isinstance(got, Fact):
            return got.message, settle(tx, [incoming], now_ms)
        dead_letters.keep(tx, [got.letter], now_ms)
    raise NotUnderstood(got.letter.detail, is_too_large=got.letter.reason == "too_large")
