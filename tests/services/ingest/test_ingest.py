"""A fact is committed, then acknowledged, then receipted; whatever breaks in between, it counts once."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import NoReturn

import pytest
from sqlalchemy import Connection
from structlog.testing import CapturingLogger

from protocol import codec, messages, topics
from protocol.fields import Record
from services import devices, orders
from services.devices import FlaskSetup
from services.health import Health, Need
from services.ingest import FILTERS, Ingest
from services.ledger import outbox, queries
from services.ledger.database import Database, DatabaseUnavailable
from services.ledger.settle import Incoming, settle
from services.memory_broker import MemoryBroker
from services.mqtt import Delivery
from services.orders import OrderedItem

NOW_MS = 1_700_000_000_000
DEVICE = "kitchen"
EPOCH = "deadbeef"
JOB = "job-1"


@pytest.fixture
def offered(database: Database) -> Database:
    """A ledger with one job of one item, offered."""
    flasks = [FlaskSetup(1, "Salt", 500_000, 500_000)]
    devices.claim(database, DEVICE, name="Kitchen", flasks=flasks, now_ms=NOW_MS, by="ana")
    status = messages.StatusReported(
        online=True, epoch=EPOCH, boot=1, connection=1, ms=5, firmware="1.0", reset_cause="power_on",
        config_version=1, job=None, last_seq=0, receipted_seq=0, fault=None,
    )  # fmt: skip
    orders.place(database, device=DEVICE, items=[OrderedItem(1, 5_000)], now_ms=NOW_MS, job_id=JOB, by="ana")
    with database.write() as tx:
        settle(tx, [Incoming(topics.STATUS.topic(DEVICE), codec.encode(status))], NOW_MS)
        outbox.due(tx, NOW_MS)
    return database


def completion(job: str = JOB, seq: int = 1) -> messages.JobCompleted:
    report = messages.ItemReport(
        item=0, flask=1, state="done", target_mg=5_000, dispensed_mg=5_003, duration_ms=251, error=None
    )
    return messages.JobCompleted(job=job, seq=seq, state="done", items=(report,), epoch=EPOCH, boot=1, ms=900)


def deliver(broker: MemoryBroker, channel: topics.Channel, message: Record, flask: int | None = None) -> None:
    broker.deliver(channel.topic(DEVICE, flask), codec.encode(message))


def receipts(broker: MemoryBroker) -> list[Record]:
    topic = topics.RECEIPT.topic(DEVICE)
    return [codec.decode(topics.RECEIPT.record, one.payload) for one in broker.published if one.topic == topic]


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> CapturingLogger:
    """Where ingest writes, however this process's logs were set up before."""
    capturing = CapturingLogger()
    monkeypatch.setattr("services.ingest.ingest.log", capturing)
    return capturing


def times_left_out(log: CapturingLogger) -> int:
    """How often it was said that receipts are left out."""
    return sum("receipts are left out" in call.args[0] for call in log.calls)


def stock(database: Database) -> tuple[int, int]:
    """(stock, dispense movements) of the flask."""
    with database.read() as tx:
        (flask,) = queries.stock(tx)
        kinds = [movement.kind for movement in queries.movements(tx)]
    return flask.stock_mg, kinds.count("dispense")


@contextlib.asynccontextmanager
async def ingesting(database: Database, broker: MemoryBroker) -> AsyncIterator[Ingest]:
    ingest = Ingest(database, broker.connect, lambda: NOW_MS)
    task = asyncio.create_task(ingest.run())
    try:
        async with asyncio.timeout(20):
            yield ingest
    finally:
        task.cancel()
        (ended,) = await asyncio.gather(task, return_exceptions=True)
        assert isinstance(ended, asyncio.CancelledError), ended


async def test_it_hears_every_dispensers_facts(offered: Database) -> None:
    broker = MemoryBroker()
    async with ingesting(offered, broker):
        await broker.until(lambda: bool(broker.published))
    assert set(broker.filters) == set(FILTERS)
    assert len(FILTERS) == 5


async def test_a_message_is_acknowledged_only_when_it_is_in_the_ledger(offered: Database) -> None:
    seen: list[tuple[int, int]] = []

    def on_ack(batch: Sequence[Delivery]) -> None:
        seen.append(stock(offered))

    broker = MemoryBroker(on_ack)
    async with ingesting(offered, broker):
        deliver(broker, topics.COMPLETION, completion())
        await broker.until(lambda: broker.unacked == 0)
    assert seen == [(500_000 - 5_003, 1)]


async def test_the_receipt_names_the_job_and_stock_follows_retained(offered: Database) -> None:
    broker = MemoryBroker()
    async with ingesting(offered, broker):
        deliver(broker, topics.COMPLETION, completion())
        await broker.until(lambda: bool(receipts(broker)))
        await broker.until(lambda: stock_messages(broker)[-1:] == [(500_000 - 5_003, True)])
    assert receipts(broker) == [messages.CompletionReceived(job=JOB, seq=1, epoch=EPOCH)]


async def test_where_the_broker_confirms_nothing_receipts_come_first_and_stock_later(offered: Database) -> None:
    broker = MemoryBroker()
    broker.room = 1
    async with ingesting(offered, broker):
        deliver(broker, topics.COMPLETION, completion())
        await broker.until(lambda: bool(receipts(broker)))
        assert not stock_messages(broker)

        broker.room = 60_000
        await broker.until(lambda: stock_messages(broker) == [(500_000 - 5_003, True)])


async def test_a_receipt_for_which_there_is_no_room_is_left_out_and_given_at_the_next_repeat(
    offered: Database, log: CapturingLogger
) -> None:
    broker = MemoryBroker()
    broker.room = 0
    async with ingesting(offered, broker):
        deliver(broker, topics.COMPLETION, completion())
        await broker.until(lambda: times_left_out(log) == 1)

        broker.room = 60_000
        deliver(broker, topics.COMPLETION, completion())
        await broker.until(lambda: bool(receipts(broker)))
    assert len(receipts(broker)) == 1
    assert stock(offered) == (500_000 - 5_003, 1)


async def test_that_receipts_are_left_out_is_said_once_a_connection(offered: Database, log: CapturingLogger) -> None:
    broker = MemoryBroker()
    async with ingesting(offered, broker):
        for connection in (1, 2):
            for room in (1, 2, 1):
                broker.room = room
                given = len(receipts(broker)) + room
                # One batch of two receipts: a job that is not known is noted, and its dispenser need not repeat it.
                deliver(broker, topics.COMPLETION, completion())
                deliver(broker, topics.COMPLETION, completion("job-2", 2))
                await broker.until(lambda given=given: len(receipts(broker)) == given)  # type: ignore[misc]  # bound now
            assert times_left_out(log) == connection
            broker.lose()


def stock_messages(broker: MemoryBroker) -> list[tuple[int, bool]]:
    topic = topics.STOCK.topic(DEVICE, 1)
    return [
        (codec.decode(messages.StockChanged, one.payload).stock_mg, one.retained)
        for one in broker.published
        if one.topic == topic
    ]


async def test_a_repeat_is_receipted_again_and_changes_nothing(offered: Database) -> None:
    broker = MemoryBroker()
    async with ingesting(offered, broker):
        for expected in (1, 2, 3):
            deliver(broker, topics.COMPLETION, completion())
            await broker.until(lambda expected=expected: len(receipts(broker)) == expected)  # type: ignore[misc]  # bound now
    assert stock(offered) == (500_000 - 5_003, 1)


async def test_a_link_lost_between_commit_and_acknowledgement_counts_once(offered: Database) -> None:
    lost = False

    class Cut(MemoryBroker):
        def settle(self, link: object, batch: Sequence[Delivery]) -> None:
            nonlocal lost
            if not lost and any(one.topic == topics.COMPLETION.topic(DEVICE) for one in batch):
                lost = True
                self.lose()
            super().settle(link, batch)  # type: ignore[arg-type]  # the link it was given

    broker = Cut()
    async with ingesting(offered, broker):
        deliver(broker, topics.COMPLETION, completion())
        await broker.until(lambda: bool(receipts(broker)))
    assert lost
    assert broker.connections == 2
    assert stock(offered) == (500_000 - 5_003, 1)


async def test_a_database_that_is_away_keeps_messages_unacknowledged_until_it_is_back(offered: Database) -> None:
    class Away(Database):
        failures = 2

        @contextlib.contextmanager
        def write(self) -> Iterator[Connection]:
            if self.failures:
                self.failures -= 1
                raise DatabaseUnavailable("the database does not answer")
            with super().write() as tx:
                yield tx

    away = Away(offered.url)
    broker = MemoryBroker()
    try:
        async with ingesting(away, broker) as ingest:
            deliver(broker, topics.COMPLETION, completion())
            await broker.until(lambda: bool(receipts(broker)))
            assert ingest.health.ok
    finally:
        away.close()
    assert broker.connections == 3
    assert broker.unacked == 0
    assert stock(offered) == (500_000 - 5_003, 1)


async def test_it_can_be_ended_while_its_database_is_away(offered: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python 3.11.2 makes a group of a cancellation within an `except*`; `ingesting` looks at how it ended."""

    class Gone(Database):
        def read(self) -> NoReturn:
            raise DatabaseUnavailable("the database does not answer")

    waits = asyncio.Event()
    monkeypatch.setattr(Health, "down", lambda *_: waits.set())
    with contextlib.closing(Gone(offered.url)) as gone:
        async with ingesting(gone, MemoryBroker()):
            await waits.wait()


async def test_a_database_that_only_reads_is_down_from_the_first_failure_to_the_first_batch_that_it_keeps(
    offered: Database,
) -> None:
    class Full(Database):
        failures = 3

        @contextlib.contextmanager
        def write(self) -> Iterator[Connection]:
            if self.failures:
                self.failures -= 1
                raise DatabaseUnavailable("the database does not answer: the disk is full")
            with super().write() as tx:
                yield tx

    full = Full(offered.url)
    broker = MemoryBroker()
    told: list[bool | None] = []
    try:
        async with ingesting(full, broker) as ingest:
            turn = ingest.health._turn

            def heard(ok: bool, needs: Need | None, detail: str) -> None:
                if not told or told[-1] is not ok:
                    told.append(ok)
                turn(ok, needs, detail)

            ingest.health._turn = heard  # type: ignore[method-assign]  # to see every turn, not only the last
            deliver(broker, topics.COMPLETION, completion())
            await broker.until(lambda: bool(receipts(broker)))
    finally:
        full.close()
    assert told in ([False, True], [True, False, True])


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        (topics.COMPLETION.topic(DEVICE), b"{"),
        (topics.COMPLETION.topic(DEVICE), b'{"job":7}'),
        (topics.COMPLETION.topic(DEVICE), b" " * 5 * 1024),
        ("pitada/v1/kitchen/flask/1/progress", b"[1,2]"),
        (topics.COMPLETION.topic("someone-else"), codec.encode(completion())),
    ],
)
async def test_what_cannot_be_settled_is_kept_acknowledged_and_delays_nothing(
    offered: Database, topic: str, payload: bytes
) -> None:
    broker = MemoryBroker()
    broker.deliver(topic, payload)
    deliver(broker, topics.COMPLETION, completion())
    async with ingesting(offered, broker):
        await broker.until(lambda: broker.unacked == 0)
    with offered.read() as tx:
        (dead,) = queries.dead_letters(tx)
    assert dead.topic == topic
    assert dead.reason
    assert stock(offered) == (500_000 - 5_003, 1)


async def test_a_dispenser_that_knows_more_than_a_restored_ledger_is_asked_for_it(offered: Database) -> None:
    broker = MemoryBroker()
    ahead = messages.StatusReported(
        online=True, epoch=EPOCH, boot=1, connection=2, ms=9, firmware="1.0", reset_cause="power_on",
        config_version=1, job=None, last_seq=4, receipted_seq=4, fault=None,
    )  # fmt: skip
    deliver(broker, topics.STATUS, ahead)
    async with ingesting(offered, broker):
        await broker.until(lambda: any(one.topic == topics.RESEND.topic(DEVICE) for one in broker.published))
    (request,) = [one for one in broker.published if one.topic == topics.RESEND.topic(DEVICE)]
    assert codec.decode(topics.RESEND.record, request.payload) == messages.ResendCompletions(from_seq=1)
    assert (request.qos, request.retained) == (1, False)
