"""The real ingest in a process of its own, counted: `Ingest` over `services.mqtt` into a real ledger."""

import asyncio
import contextlib
import multiprocessing
import os
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from pitada.process import spare_the_collector
from services.clock import now_ms
from services.ingest import BATCH_MOST, FILTERS, Ingest
from services.ledger.database import Database
from services.mqtt import Account, BrokerAddress, Delivery, Link, Outgoing, connected
from tests.benchmarks.raw_mqtt import PASSWORD

# No drain takes longer; a benchmark that hangs says so.
_DEADLINE_S = 900.0


@dataclass(frozen=True)
class Asked:
    """Settle until `expected` queued messages are acknowledged (None: until told to stop)."""

    database_url: str
    port: int
    expected: int | None = None
    batch_most: int = BATCH_MOST


@dataclass(frozen=True)
class Drained:
    """`took_s` from the start of ingest (connecting and all) to the last acknowledgement.

    `acknowledged` are the queued messages; `settled` are those and the retained ones, which come at the subscription.
    """

    took_s: float
    acknowledged: int
    settled: int
    receipts: int
    batches: int
    cpu_s: float
    grew_bytes: int


@contextmanager
def ingesting(asked: Asked) -> Iterator[Connection]:
    """Runs while the block runs, or until it has what was expected; `result` of the connection says what it did."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_main, args=(asked, there))
    process.start()
    there.close()
    try:
        assert here.recv() == "started"
        yield here
    finally:
        with contextlib.suppress(OSError):
            here.send("stop")
        process.join(30)
        if process.is_alive():
            process.kill()


def result(here: Connection) -> Drained:
    """What it did, when it is done."""
    if not here.poll(_DEADLINE_S):
        raise TimeoutError(f"ingest did not finish within {_DEADLINE_S:.0f} s")
    drained = here.recv()
    assert isinstance(drained, Drained)
    return drained


async def subscribe_for_later(port: int, user: str) -> None:
    """Make the account's lasting session at the broker, for what comes while it is away."""
    async with connected(BrokerAddress("127.0.0.1", port), Account(user, PASSWORD), persistent=True) as link:
        await link.subscribe(FILTERS)


class _Counted:
    """A link that counts what goes through it, and knows when that is all."""

    def __init__(self, link: Link, counts: "_Counts") -> None:
        self._link = link
        self._counts = counts
        self.subscribe = link.subscribe

    @property
    def room(self) -> int:
        return self._link.room

    async def batch(self, most: int) -> list[Delivery]:
        return await self._link.batch(most)

    def ack(self, batch: Sequence[Delivery]) -> None:
        self._link.ack(batch)
        counts = self._counts
        counts.batches += 1
        counts.settled += len(batch)
        counts.acknowledged += sum(not delivery.retained for delivery in batch)
        if counts.asked.expected is not None and counts.acknowledged >= counts.asked.expected:
            counts.done.set()

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        await self._link.publish(messages)
        self._counts.receipts += sum(message.topic.endswith("/receipt") for message in messages)


class _Counts:
    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self.acknowledged = self.settled = self.receipts = self.batches = 0
        self.done = asyncio.Event()


def _main(asked: Asked, there: Connection) -> None:
    there.send(asyncio.run(_ingest(asked, there)))


async def _ingest(asked: Asked, there: Connection) -> Drained:
    database = Database(asked.database_url)
    counts = _Counts(asked)

    @contextlib.asynccontextmanager
    async def connect() -> AsyncIterator[_Counted]:
        address = BrokerAddress("127.0.0.1", asked.port)
        async with connected(address, Account("svc_ingest", PASSWORD), persistent=True, manual_ack=True) as link:
            yield _Counted(link, counts)

    spare_the_collector()
    before_bytes = _rss_bytes()
    there.send("started")
    began, cpu = time.perf_counter(), time.process_time()
    service = asyncio.create_task(Ingest(database, connect, now_ms, asked.batch_most).run())
    if asked.expected is None:
        await asyncio.to_thread(there.recv)
    else:
        finished = asyncio.create_task(counts.done.wait())
        await asyncio.wait((finished, service), timeout=_DEADLINE_S, return_when=asyncio.FIRST_COMPLETED)
    took_s, cpu_s = time.perf_counter() - began, time.process_time() - cpu
    # The receipts of the last batch follow its acknowledgement.
    await asyncio.sleep(0.5)
    service.cancel()
    await asyncio.gather(service, return_exceptions=True)
    await asyncio.to_thread(database.close)
    peak_bytes = _peak_bytes()
    return Drained(
        took_s, counts.acknowledged, counts.settled, counts.receipts, counts.batches, cpu_s, peak_bytes - before_bytes
    )


def _peak_bytes() -> int:
    # Not getrusage's: that begins with what the parent had when it started this process.
    (peak,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:")]
    return int(peak.split()[1]) * 1024


def _rss_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
