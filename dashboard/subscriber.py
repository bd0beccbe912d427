"""Pumps MQTT messages into the live feed, and tells it when the broker is away."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import aiomqtt
import structlog

from dashboard.live import LiveFeed
from protocol import topics
from protocol.limits import KEEPALIVE_S

USER = "svc_dashboard"

# The first try comes at once, the last ones every ten seconds: a broker that restarts is back within seconds.
RETRY_S = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """Where the broker listens, and the dashboard's password there."""

    host: str
    port: int
    password: str


async def follow(
    broker: BrokerAddress,
    feed: LiveFeed,
    chance: random.Random,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Subscribe to everything and feed it until cancelled. A lost broker is tried again with jittered back-off."""
    tries = 0
    while True:
        try:
            async with aiomqtt.Client(
                broker.host,
                broker.port,
                username=USER,
                password=broker.password,
                identifier=USER,
                keepalive=KEEPALIVE_S,
                clean_session=True,  # retained messages tell the state; a queue of old changes would only delay it
            ) as client:
                await client.subscribe(f"{topics.ROOT}/#", qos=1)
                tries = 0
                feed.source_back()
                async for message in client.messages:
                    payload = message.payload
                    if isinstance(payload, bytes):
                        feed.apply(message.topic.value, payload, retained=message.retain)
        except aiomqtt.MqttError as error:
            feed.source_lost()
            wait_s = RETRY_S[min(tries, len(RETRY_S) - 1)] * chance.uniform(0.5, 1.0)
            tries += 1
            _log.warning("the broker cannot be reached", host=broker.host, port=broker.port, error=str(error))
            await sleep(wait_s)
