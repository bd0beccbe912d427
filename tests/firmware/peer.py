"""A broker and a server for one dispenser, on a real socket: every completion is receipted at once."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from protocol import codec, topics
from protocol.fields import Record
from protocol.messages import (
    CompletionReceived,
    ConfigureDispenser,
    FlaskConfig,
    JobCompleted,
    OfferedItem,
    OfferJob,
    StatusReported,
)
from tests.firmware.broker import DEVICE, FakeBroker, Sent


class Peer:
    """What the dispenser sent is in `broker.sent`; `writer` is the stream to it, None before the first."""

    def __init__(self, *flasks: FlaskConfig) -> None:
        self.broker = FakeBroker(on_message=self._take)
        config = ConfigureDispenser(version=1, flasks=flasks)
        self.broker.retained[topics.CONFIG.topic(DEVICE)] = codec.encode(config)
        self.port = 0
        self.writer: asyncio.StreamWriter | None = None
        self._goes_on = asyncio.Event()
        self._goes_on.set()

    def statuses(self) -> list[StatusReported]:
        return [one.record for one in self.broker.sent if isinstance(one.record, StatusReported)]

    def completions(self) -> list[JobCompleted]:
        return [one.record for one in self.broker.sent if isinstance(one.record, JobCompleted)]

    def is_receipted(self, seq: int) -> bool:
        """The dispenser says that it has the receipt of every job up to this number."""
        statuses = self.statuses()
        return bool(statuses) and statuses[-1].receipted_seq >= seq

    def is_configured(self) -> bool:
        """It is online and has its configuration in flash."""
        statuses = self.statuses()
        return bool(statuses) and statuses[-1].online and statuses[-1].config_version == 1

    def deliver(self, channel: topics.Channel, record: Record) -> None:
        """A message to the dispenser."""
        assert self.writer is not None
        self.writer.write(self.broker.message(channel.topic(DEVICE), codec.encode(record)))

    def offer(self, seq: int, *items: tuple[int, int]) -> None:
        """Offer (flask, target_mg) items as job `job-<seq>`."""
        wanted = tuple(OfferedItem(flask=number, target_mg=mg) for number, mg in items)
        self.deliver(topics.OFFER, OfferJob(job=f"job-{seq}", seq=seq, epoch=self.statuses()[-1].epoch, items=wanted))

    async def until(self, happened: Callable[[], bool], wait_s: float = 30) -> None:
        """Wait for it, with a deadline."""
        async with asyncio.timeout(wait_s):
            while not happened():
                await asyncio.sleep(0.005)

    def pause(self) -> None:
        """Neither read nor answer, as a broker that is stalled."""
        self._goes_on.clear()

    def resume(self) -> None:
        """Go on where it was paused."""
        self._goes_on.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One stream of the dispenser; an older one is closed, as brokers do."""
        if self.writer is not None:
            self.writer.transport.abort()
        self.writer = writer
        self.broker.opened()
        with contextlib.suppress(OSError):
            while data := await reader.read(4096):
                await self._goes_on.wait()
                writer.write(self.broker.feed(data))
        if self.writer is writer:
            self.broker.dropped()
        writer.close()

    def _take(self, message: Sent) -> None:
        record = message.record
        if isinstance(record, JobCompleted):
            receipt = CompletionReceived(job=record.job, seq=record.seq, epoch=record.epoch)
            self.deliver(topics.RECEIPT, receipt)


@contextlib.asynccontextmanager
async def peer(*flasks: FlaskConfig) -> AsyncIterator[Peer]:
    """A peer that listens while the block runs."""
    one = Peer(*flasks)
    server = await asyncio.start_server(one.serve, "127.0.0.1", 0)
    one.port = server.sockets[0].getsockname()[1]
    try:
        yield one
    finally:
        server.close()
        if one.writer is not None:
            one.writer.transport.abort()
        await server.wait_closed()
