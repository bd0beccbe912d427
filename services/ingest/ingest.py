"""The way of a fact: a batch from the broker, one transaction, acknowledgement, then receipts and stock.

The order is the promise. A message is acknowledged only after the commit, so a crash at any point makes the broker
send it again; the ledger knows it then and changes nothing; the receipt goes out again.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager

from protocol import access, codec, topics
from protocol.fields import Record
from protocol.messages import StockChanged
from services.health import Health
from services.ingest.ahead import Ahead
from services.ingest.settling import settle_batch
from services.ingest.source import Source
from services.ledger.announcements import changed_stock
from services.ledger.database import Database, DatabaseUnavailable
from services.mqtt import BrokerLost, Outgoing

FILTERS = access.filters_of("svc_ingest", access.SUBSCRIBE)

# Messages of one transaction, measured with a backlog (docs/benchmarks.md): above it the rate gains nothing more, and
# the rows of a batch stay locked for longer. The broker's window is twice this, so the next batch is read meanwhile.
BATCH_MOST = 2_000

# How long after a failed transaction the broker is asked for the same messages again.
_DATABASE_PAUSE_S = 0.5

# Stock also changes without a message (orders reserve, people refill); live views may be this much behind then.
_STOCK_EVERY_S = 0.5


class Ingest:
    """Settles for ever; survives the loss of the broker and of the database, and says so in `health`."""

    def __init__(
        self,
        database: Database,
        connect: Callable[[], AbstractAsyncContextManager[Source]],
        now_ms: Callable[[], int],
        batch_most: int = BATCH_MOST,
    ) -> None:
        self.health = Health("ingest", now_ms)
        self._batch_most = batch_most
        self._database = database
        self._connect = connect
        self._now_ms = now_ms
        # The revision of each flask that live views were last told of.
        self._told: dict[tuple[str, int], int] = {}

    async def run(self) -> None:
        while True:
            try:
                async with self._connect() as source:
                    await self._serve(source)
            except* BrokerLost as lost:
                self.health.down(f"broker lost: {lost.exceptions[0]}")
            except* DatabaseUnavailable as down:
                # What was not acknowledged comes again with the next connection.
                self.health.down(str(down.exceptions[0]))
                await asyncio.sleep(_DATABASE_PAUSE_S)

    async def _serve(self, source: Source) -> None:
        await source.subscribe(FILTERS)
        # A broker that lost its retained messages is told everything again.
        self._told.clear()
        self.health.up()
        ahead = Ahead(self._batch_most)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(ahead.fill(source))
            tasks.create_task(self._settle_batches(source, ahead))
            tasks.create_task(self._announce_stock(source))

    async def _settle_batches(self, source: Source, ahead: Ahead) -> None:
        while True:
            batch = await ahead.take()
            results = await asyncio.to_thread(settle_batch, self._database, batch, self._now_ms())
            source.ack([heard.delivery for heard in batch])
            for settled in results:
                await source.publish([_receipt(device, message) for device, message in settled.receipts])
                await self._publish_stock(source, settled.stock)

    async def _announce_stock(self, source: Source) -> None:
        while True:
            await self._publish_stock(source, await asyncio.to_thread(self._changed_stock))
            await asyncio.sleep(_STOCK_EVERY_S)

    async def _publish_stock(self, source: Source, stock: Sequence[tuple[str, int, StockChanged]]) -> None:
        news = []
        for device, flask, message in stock:
            if self._told.get((device, flask), -1) < message.revision:
                self._told[device, flask] = message.revision
                news.append(_outgoing(topics.STOCK, device, flask, message))
        await source.publish(news)

    def _changed_stock(self) -> list[tuple[str, int, StockChanged]]:
        with self._database.read() as tx:
            return changed_stock(tx, dict(self._told))


def _receipt(device: str, message: Record) -> Outgoing:
    return _outgoing(topics.RECEIPT, device, None, message)


def _outgoing(channel: topics.Channel, device: str, flask: int | None, message: Record) -> Outgoing:
    return Outgoing(channel.topic(device, flask), codec.encode(message), channel.qos, channel.retained)
