"""Messages that were read while the batch before them was being committed. Bounded, in order."""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

import structlog

from services.ingest.source import Source
from services.ledger.settle import Incoming, Read, read
from services.mqtt import Delivery

log = structlog.get_logger(__name__)

# Messages read in one go: less than a millisecond, then the event loop has its turn.
_READ_MOST = 100


class Heard(NamedTuple):
    """A message and what it says. `said` is the message itself when reading it failed unexpectedly."""

    delivery: Delivery
    incoming: Incoming
    said: Read | Incoming


class Ahead:
    """Filled by `fill`, emptied by `take`: whatever was read meanwhile is one batch, so batches grow with the backlog.

    A message alone waits for nobody. At most `most` messages are held, and a batch has at most that many.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._heard: list[Heard] = []
        self._filled = asyncio.Event()
        self._taken = asyncio.Event()

    async def fill(self, source: Source) -> None:
        """Read for ever; wait while there is enough."""
        while True:
            while len(self._heard) >= self._most:
                self._taken.clear()
                await self._taken.wait()
            deliveries = await source.batch(min(_READ_MOST, self._most - len(self._heard)))
            self._heard += [_hear(delivery) for delivery in deliveries]
            self._filled.set()
            await asyncio.sleep(0)

    async def take(self) -> Sequence[Heard]:
        """Everything read and not taken yet; waits for the first."""
        while not self._heard:
            self._filled.clear()
            await self._filled.wait()
        heard, self._heard = self._heard, []
        self._taken.set()
        return heard


def _hear(delivery: Delivery) -> Heard:
    incoming = Incoming(delivery.topic, delivery.payload)
    try:
        return Heard(delivery, incoming, read(incoming))
    except Exception:  # a defect: the message alone pays for it, see `settling`
        log.exception("a message could not be read", topic=delivery.topic)
        return Heard(delivery, incoming, incoming)
