"""The way of an order: what the ledger says is due goes to dispensers that are online; nothing waits in the broker.

Every decision is in the database before a command leaves, so a crash at any point only repeats a command, and a
dispenser answers a repeat from its journal.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from protocol import codec
from services.health import Health
from services.ledger import outbox
from services.ledger.database import Database, DatabaseUnavailable
from services.mqtt import BrokerLost, Outgoing

# How long an order may wait for the next look: well below what a person notices.
LOOK_EVERY_S = 0.1

# How long after a failed look the next one comes.
_DATABASE_PAUSE_S = 0.5


class Sink(Protocol):
    """Where commands go: `services.mqtt.Link`, or an in-memory twin in tests."""

    async def publish(self, messages: Sequence[Outgoing]) -> None: ...


class Dispatch:
    """Looks and sends for ever; survives the loss of the broker and of the database, and says so in `health`."""

    def __init__(
        self,
        database: Database,
        connect: Callable[[], AbstractAsyncContextManager[Sink]],
        now_ms: Callable[[], int],
        look_every_s: float = LOOK_EVERY_S,
    ) -> None:
        self.health = Health("dispatch", now_ms)
        self._look_every_s = look_every_s
        self._database = database
        self._connect = connect
        self._now_ms = now_ms

    async def run(self) -> None:
        while True:
            try:
                async with self._connect() as sink:
                    await self._serve(sink)
            except BrokerLost as lost:
                self.health.down("broker", str(lost))
            except DatabaseUnavailable as down:
                self.health.down("database", str(down))
                await asyncio.sleep(_DATABASE_PAUSE_S)

    async def _serve(self, sink: Sink) -> None:
        while True:
            commands = await asyncio.to_thread(self._due)
            await sink.publish(commands)
            self.health.up()
            await asyncio.sleep(self._look_every_s)

    def _due(self) -> list[Outgoing]:
        with self._database.write() as tx:
            due = outbox.due(tx, self._now_ms())
        return [
            Outgoing(one.channel.topic(one.device), codec.encode(one.message), one.channel.qos, one.channel.retained)
            for one in due
        ]
