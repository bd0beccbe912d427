"""A defect that one message meets is that message's alone: it is kept with the error, the others are settled."""

from typing import Any

import pytest

from services.ingest import settling
from services.ingest.ahead import Heard, _hear
from services.ingest.settling import settle_batch
from services.ledger import decoding, facts, held, queries
from services.ledger.database import Database, DatabaseUnavailable
from services.ledger.settle import Incoming, settle_read
from services.mqtt import Delivery
from tests.services.ledger.conftest import NOW_MS, Floor

TWO = [(1, 100), (2, 200)]


@pytest.fixture
def floor(database: Database) -> Floor:
    return Floor(database)


def heard(incoming: Incoming) -> Heard:
    return _hear(Delivery(incoming.topic, incoming.payload, 1, 1))


def jobs(floor: Floor) -> list[Incoming]:
    batch = []
    for number in (1, 2, 3):
        floor.offer(f"j{number}", TWO, seq=number)
        batch.append(floor.completed(f"j{number}", floor.report(0, 1, 100), floor.report(1, 2, 200), seq=number))
    return batch


def states(floor: Floor) -> list[str]:
    return [row["state"] for row in floor.rows("job")]


def test_a_batch_is_one_transaction(floor: Floor) -> None:
    (settled,) = settle_batch(floor.database, [heard(one) for one in jobs(floor)], NOW_MS)
    assert len(settled.receipts) == 3
    assert states(floor) == ["done"] * 3


def test_a_message_that_the_ledger_cannot_settle_is_kept_with_the_error(
    floor: Floor, monkeypatch: pytest.MonkeyPatch
) -> None:
    complete = held.HeldJob.complete

    def broken(job: held.HeldJob, fact: Any) -> None:
        if job.job == "j2":
            raise ZeroDivisionError("a defect")
        complete(job, fact)

    batch = jobs(floor)
    monkeypatch.setattr(held.HeldJob, "complete", broken)
    settled = settle_batch(floor.database, [heard(one) for one in batch], NOW_MS)
    assert [len(one.receipts) for one in settled] == [1, 0, 1]
    assert states(floor) == ["done", "offered", "done"]
    with floor.database.read() as tx:
        (letter,) = queries.dead_letters(tx)
    assert (letter.reason, letter.detail) == ("unsettled", "ZeroDivisionError: a defect")
    assert letter.payload == batch[1].payload.decode()


def test_a_message_that_cannot_even_be_read_is_kept_with_the_error(
    floor: Floor, monkeypatch: pytest.MonkeyPatch
) -> None:
    decode = decoding.decode

    def broken(record: Any, payload: bytes) -> Any:
        if b'"j1"' in payload:
            raise RecursionError("a defect")
        return decode(record, payload)

    batch = jobs(floor)
    monkeypatch.setattr(facts, "decode", broken)
    settle_batch(floor.database, [heard(one) for one in batch], NOW_MS)
    assert states(floor) == ["offered", "done", "done"]
    assert [row["reason"] for row in floor.rows("dead_letter")] == ["unsettled"]


def test_a_database_that_is_away_is_no_defect(floor: Floor, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> None:
        raise DatabaseUnavailable("the database does not answer")

    batch = [heard(one) for one in jobs(floor)]
    monkeypatch.setattr(settling, "settle_read", away)
    with pytest.raises(DatabaseUnavailable):
        settle_batch(floor.database, batch, NOW_MS)
    assert floor.rows("dead_letter") == []


def test_a_database_that_goes_away_while_the_messages_are_settled_one_by_one_is_no_defect(
    floor: Floor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def worse(tx: Any, said: Any, now_ms: int) -> Any:
        if len(said) > 1:
            raise ZeroDivisionError("a defect")
        if said[0].message.job == "j2":
            raise DatabaseUnavailable("the database does not answer")
        return settle_read(tx, said, now_ms)

    batch = [heard(one) for one in jobs(floor)]
    monkeypatch.setattr(settling, "settle_read", worse)
    with pytest.raises(DatabaseUnavailable):
        settle_batch(floor.database, batch, NOW_MS)
    monkeypatch.setattr(settling, "settle_read", settle_read)
    settle_batch(floor.database, batch, NOW_MS)
    assert states(floor) == ["done"] * 3
