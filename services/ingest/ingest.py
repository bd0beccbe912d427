"""The way of a fact: a batch from the broker, one transaction, acknowledgement, then receipts and stock.

The order is the promise. A message is acknowledged only after the commit, so a crash at any point makes the broker
send it again; the ledger knows it then and changes nothing; the receipt goes out again.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager

import structlog

from protocol import access, codec, topics
from protocol.fields import Record
from protocol.messages import CompletionReceived, ResendCompletions, StockChanged
from services.health import Health
from services.ingest.ahead import Ahead
from services.ingest.settling import settle_batch
from services.ingest.source import Source
from services.ledger import restored
from services.ledger.announcements import changed_stock
from services.ledger.database import Database, DatabaseUnavailable
from services.ledger.settle import Settled
from services.mqtt import BrokerLost, Outgoing

log = structlog.get_logger(__name__)

FILTERS = access.filters_of("svc_ingest", access.SUBSCRIBE)

# Messages of one transaction, measured with a backlog (docs/benchmarks.md): the more, the faster, since the steps of a
# job become one; but its rows stay locked meanwhile, here for less than half a second. The broker's window is twice
# this, so the next batch is read meanwhile.
BATCH_MOST = 8_000

# How long after a failed transaction the broker is asked for the same messages again.
_DATABASE_PAUSE_S = 0.5

# How often to look for what has no message: stock that orders reserve and people refill, which live views may be that
# much behind; and dispensers that know more than the ledger, of which there are some only after a restore.
LOOK_EVERY_S = 0.5


# Publishes that stock leaves to receipts, where a broker is slow to confirm.
_ROOM_FOR_RECEIPTS = 30_000


class Ingest:
    """Settles for ever; survives the loss of the broker and of the database, and says so in `health`.

    `health` is up once the ledger has answered over an open link, so never between two failures of one outage.
    """

    def __init__(
        self,
        database: Database,
        connect: Callable[[], AbstractAsyncContextManager[Source]],
        now_ms: Callable[[], int],
        batch_most: int = BATCH_MOST,
        look_every_s: float = LOOK_EVERY_S,
    ) -> None:
        self.health = Health("ingest", now_ms)
        self._batch_most = batch_most
        self._look_every_s = look_every_s
        self._database = database
        self._connect = connect
        self._now_ms = now_ms
        # The revision of each flask that live views were last told of.
        self._told: dict[tuple[str, int], int] = {}
        # The last batch could not be written. It comes again, and only when it is in the ledger is this service up: a
        # database whose disk is full still answers what only reads.
        self._unwritten = False
        # Said on this connection that receipts are left out.
        self._said_no_room = False

    async def run(self) -> None:
        while True:
            serving = asyncio.create_task(self._serve())
            try:
                # Waited for, not awaited: a cancellation that meets a failure in there would be lost.
                await asyncio.wait((serving,))
            except asyncio.CancelledError:
                serving.cancel()
                await asyncio.gather(serving, return_exceptions=True)
                raise
            is_away = False
            try:
                serving.result()
            except* BrokerLost as lost:
                # It sends again what it still has; a restarted one may have lost it.
                self._unwritten = False
                self.health.down("broker", str(lost.exceptions[0]))
            except* DatabaseUnavailable as down:
                # What was not acknowledged comes again with the next connection.
                self.health.down("database", str(down.exceptions[0]))
                is_away = True
            if is_away:
                # Outside the `except*`: Python 3.11.2 raises a cancellation that comes within one as a group.
                await asyncio.sleep(_DATABASE_PAUSE_S)

    async def _serve(self) -> None:
        async with self._connect() as source:
            await self._serve_over(source)

    async def _serve_over(self, source: Source) -> None:
        # A broker that lost its retained messages is told everything again.
        self._told.clear()
        self._said_no_room = False
        ahead = Ahead(self._batch_most)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(source.subscribe(FILTERS))
            tasks.create_task(ahead.fill(source))
            tasks.create_task(self._settle_batches(source, ahead, tasks))
            tasks.create_task(self._look_around(source))

    async def _settle_batches(self, source: Source, ahead: Ahead, tasks: asyncio.TaskGroup) -> None:
        telling: asyncio.Task[None] | None = None
        while True:
            batch = await ahead.take()
            try:
                results = await asyncio.to_thread(settle_batch, self._database, batch, self._now_ms())
            except DatabaseUnavailable:
                self._unwritten = True
                raise
            self._unwritten = False
            self.health.up()
            source.ack([heard.delivery for heard in batch])
            # The next batch is settled meanwhile, but never more than one.
            if telling is not None:
                await telling
            telling = tasks.create_task(self._tell(source, results))

    async def _tell(self, source: Source, results: Sequence[Settled]) -> None:
        for settled in results:
            await self._publish_receipts(source, settled.receipts)
            await self._publish_stock(source, settled.stock)

    async def _look_around(self, source: Source) -> None:
        while True:
            changed, is_lost = await asyncio.to_thread(self._look)
            if not self._unwritten:
                self.health.up()
            await self._publish_stock(source, changed)
            if is_lost:
                requests = await asyncio.to_thread(self._ask_for_lost)
                await source.publish([_outgoing(topics.RESEND, device, None, message) for device, message in requests])
            await asyncio.sleep(self._look_every_s)

    async def _publish_receipts(self, source: Source, receipts: Sequence[tuple[str, CompletionReceived]]) -> None:
        # Not waited for: a broker may send its whole backlog before a confirmation. The dispensers will ask again.
        now = receipts[: source.room]
        if len(now) < len(receipts) and not self._said_no_room:
            self._said_no_room = True
            log.warning("the broker confirms nothing while it sends its backlog; receipts are left out until it does")
        await source.publish([_outgoing(topics.RECEIPT, device, None, message) for device, message in now])

    async def _publish_stock(self, source: Source, stock: Sequence[tuple[str, int, StockChanged]]) -> None:
        news: list[Outgoing] = []
        # The next look finds what is left out here.
        most = source.room - _ROOM_FOR_RECEIPTS
        for device, flask, message in stock:
            if len(news) >= most:
                break
            if self._told.get((device, flask), -1) < message.revision:
                self._told[device, flask] = message.revision
                news.append(_outgoing(topics.STOCK, device, flask, message))
        await source.publish(news)

    def _look(self) -> tuple[list[tuple[str, int, StockChanged]], bool]:
        """The stock to tell, and whether somebody knows more than the ledger: a look costs the writers nothing."""
        with self._database.read() as tx:
            return changed_stock(tx, dict(self._told)), restored.is_due(tx, self._now_ms())

    def _ask_for_lost(self) -> list[tuple[str, ResendCompletions]]:
        with self._database.write() as tx:
            return restored.ask(tx, self._now_ms())


def _outgoing(channel: topics.Channel, device: str, flask: int | None, message: Record) -> Outgoing:
    return Outgoing(channel.topic(device, flask), codec.encode(message), channel.qos, channel.retained)
