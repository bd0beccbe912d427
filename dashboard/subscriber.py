"""Pumps MQTT messages into the live feed, and tells it when the broker is away."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import structlog

from dashboard.live import LiveFeed
from protocol import topics
from services.mqtt import BrokerLost, Delivery

# Messages folded in before the event loop gets its turn back: a few milliseconds of work.
BATCH_MOST = 200

_log = structlog.get_logger(__name__)


class Source(Protocol):
    """Where messages come from: `services.mqtt.Link`, or its in-memory twin."""

    async def subscribe(self, filters: Sequence[str]) -> None: ...

    async def batch(self, most: int) -> list[Delivery]: ...


async def follow(connect: Callable[[], AbstractAsyncContextManager[Source]], feed: LiveFeed) -> None:
    """Subscribe to everything and feed it until cancelled. `connect` waits until the broker can be reached.

    The session is not persistent: retained messages tell the state; a queue of old changes would only delay it.
    """
    while True:
        feed.source_lost()
        try:
            async with connect() as source:
                await source.subscribe([topics.ROOT + "/#"])
                feed.source_back()
                while True:
                    for delivery in await source.batch(BATCH_MOST):
                        feed.apply(delivery.topic, delivery.payload, retained=delivery.retained)
        except BrokerLost as lost:
            _log.warning("the live feed lost the broker", error=str(lost))
