"""The subscriber against a real broker that goes away and comes back."""

import asyncio
import random
import shutil
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiomqtt

from dashboard.live import LiveFeed
from dashboard.subscriber import BrokerAddress, follow
from tests.dashboard.bench import MemoryLedger, status

DEADLINE_S = 15.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@asynccontextmanager
async def mosquitto(directory: Path, port: int) -> AsyncIterator[None]:
    binary = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin")
    assert binary, "mosquitto is needed: apt install mosquitto"
    config = directory / "mosquitto.conf"
    config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n")
    process = await asyncio.create_subprocess_exec(binary, "-c", str(config), stderr=asyncio.subprocess.DEVNULL)
    try:
        await until(lambda: listens(port))
        yield
    finally:
        process.terminate()
        await process.wait()


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not true():  # noqa: ASYNC110  # a port that begins to listen sets no event
            await asyncio.sleep(0.01)


async def test_the_feed_follows_the_broker_and_says_while_it_is_away(
    tmp_path: Path, feed: LiveFeed, ledger: MemoryLedger
) -> None:
    port = free_port()

    def health() -> object:
        return feed._health["broker"]  # what every viewer is told

    async with feed.watch():
        following = asyncio.create_task(follow(BrokerAddress("127.0.0.1", port, "secret"), feed, random.Random(1)))
        try:
            await until(lambda: health() == "unreachable")
            async with mosquitto(tmp_path, port):
                await until(lambda: health() == "connected")
                topic, payload = status(online=False)
                async with aiomqtt.Client("127.0.0.1", port) as device:
                    await device.publish(topic, payload, qos=1, retain=True)
                await until(lambda: not feed._fleet.dispensers["line-1"].presence.online)
            await until(lambda: health() == "unreachable")
            async with mosquitto(tmp_path, port):
                await until(lambda: health() == "connected")
        finally:
            following.cancel()
            with suppress(asyncio.CancelledError):
                await following
