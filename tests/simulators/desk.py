"""The other end of the wire for the fleet's tests: orders jobs, receipts completions, keeps a plain ledger.

It stands in for the services, which the simulators must not know, and speaks the real protocol to a real broker.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import aiomqtt

from protocol import codec, topics
from protocol.messages import (
    CompletionReceived,
    ConfigureDispenser,
    FlaskConfig,
    ItemProgressed,
    JobAccepted,
    JobCompleted,
    OfferedItem,
    OfferJob,
    StatusReported,
)
from simulators.flask import FlaskSpec
from simulators.fleet import DispenserSpec
from simulators.truth import FlaskLedger

# An offer that got lost is repeated this often.
REPEAT_S = 0.25

Items = Sequence[tuple[int, int]]


def spec(device: str, flasks: int = 2, flow_mg_per_s: int = 20_000) -> DispenserSpec:
    """A dispenser with full flasks."""
    return DispenserSpec(
        device, "secret", [FlaskSpec(flask, 10_000_000, flow_mg_per_s) for flask in range(1, flasks + 1)]
    )


class Desk:
    """Jobs go to each dispenser one after the other, in the order in which they were placed."""

    def __init__(self, client: aiomqtt.Client, specs: Sequence[DispenserSpec]) -> None:
        self.status: dict[str, StatusReported] = {}
        self.completions: dict[str, JobCompleted] = {}
        self.copies: dict[str, int] = defaultdict(int)
        self.progress: list[tuple[str, int, ItemProgressed]] = []
        self.receipts = True
        self._client = client
        self._specs = {each.device: each for each in specs}
        self._queues: dict[str, list[tuple[str, Items]]] = {device: [] for device in self._specs}
        self._seq: dict[str, int] = dict.fromkeys(self._specs, 0)
        self._accepted: set[str] = set()
        self._changed = asyncio.Event()

    async def configure(self) -> None:
        for device, each in self._specs.items():
            flasks = tuple(
                FlaskConfig(
                    flask=flask.flask,
                    flow_mg_per_s=flask.flow_mg_per_s,
                    max_open_ms=60_000,
                    channel=flask.flask - 1,
                    closed_us=1000,
                    open_us=2000,
                    settle_ms=0,
                )
                for flask in each.flasks
            )
            config = codec.encode(ConfigureDispenser(version=1, flasks=flasks))
            await self._client.publish(topics.CONFIG.topic(device), config, qos=1, retain=True)

    def place(self, device: str, *items: tuple[int, int]) -> str:
        """Queue a job of (flask, target_mg) items."""
        self._seq[device] += 1
        job = f"{device}-{self._seq[device]}"
        self._queues[device].append((job, items))
        self._changed.set()
        return job

    async def until(self, condition: Callable[[], bool], within_s: float = 30) -> None:
        async with asyncio.timeout(within_s):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def all_done(self, within_s: float = 30) -> None:
        await self.until(lambda: not any(self._queues.values()), within_s)

    def ledger(self) -> list[FlaskLedger]:
        """What the completions say: known amounts, and the targets of the items in doubt."""
        known: dict[tuple[str, int], int] = defaultdict(int)
        doubt: dict[tuple[str, int], list[int]] = defaultdict(list)
        for job, done in self.completions.items():
            device = job.rsplit("-", 1)[0]
            for item in done.items:
                known[device, item.flask] += item.dispensed_mg or 0
                if item.state == "in_doubt":
                    doubt[device, item.flask].append(item.target_mg)
        return [FlaskLedger(*flask, known[flask], tuple(doubt[flask])) for flask in known]

    async def listen(self) -> None:
        async for message in self._client.messages:
            device, channel, flask = topics.parse(str(message.topic))
            payload = message.payload
            if device in self._specs and isinstance(payload, bytes):
                await self._hear(device, channel, flask, payload)
                self._changed.set()

    async def repeat_offers(self) -> None:
        while True:
            for device in self._specs:
                await self._offer(device)
            await asyncio.sleep(REPEAT_S)

    async def _hear(self, device: str, channel: topics.Channel, flask: int | None, payload: bytes) -> None:
        if channel is topics.STATUS:
            self.status[device] = codec.decode(StatusReported, payload)
        elif channel is topics.ACCEPT:
            accepted = codec.decode(JobAccepted, payload)
            if accepted.refusal is None:
                self._accepted.add(accepted.job)
        elif channel is topics.PROGRESS and flask is not None:
            self.progress.append((device, flask, codec.decode(ItemProgressed, payload)))
        elif channel is topics.COMPLETION:
            await self._complete(device, codec.decode(JobCompleted, payload))

    async def _complete(self, device: str, done: JobCompleted) -> None:
        assert self.completions.setdefault(done.job, done) == done
        self.copies[done.job] += 1
        if not self.receipts:
            return
        receipt = codec.encode(CompletionReceived(job=done.job, seq=done.seq, epoch=done.epoch))
        await self._client.publish(topics.RECEIPT.topic(device), receipt, qos=1)
        if self._queues[device] and self._queues[device][0][0] == done.job:
            self._queues[device].pop(0)
            await self._offer(device)

    async def _offer(self, device: str) -> None:
        status = self.status.get(device)
        if status is None or not status.online or not self._queues[device]:
            return
        job, items = self._queues[device][0]
        if job in self._accepted:
            return
        offer = OfferJob(
            job=job,
            seq=int(job.rsplit("-", 1)[1]),
            epoch=status.epoch,
            items=tuple(OfferedItem(flask=flask, target_mg=target_mg) for flask, target_mg in items),
        )
        await self._client.publish(topics.OFFER.topic(device), codec.encode(offer), qos=1)


@asynccontextmanager
async def desk_at(port: int, specs: Sequence[DispenserSpec]) -> AsyncIterator[Desk]:
    """A desk for these dispensers, at the broker on this port."""
    async with aiomqtt.Client("127.0.0.1", port, identifier="desk") as client:
        desk = Desk(client, specs)
        await desk.configure()
        for each in specs:
            await client.subscribe(f"{topics.ROOT}/{each.device}/#", qos=1)
        tasks = [asyncio.create_task(desk.listen()), asyncio.create_task(desk.repeat_offers())]
        try:
            yield desk
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
