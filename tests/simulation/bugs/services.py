"""Defects of ingest, orders, dispatch and the dashboard."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from dashboard.live import LiveFeed
from dashboard.picture import DispenserPicture
from protocol import codec, topics
from protocol.messages import CompletionReceived, JobCompleted
from services.ingest import ahead as ahead_module
from services.ingest import ingest as ingest_module
from services.ingest.ahead import Ahead
from services.ingest.ingest import Ingest
from services.ingest.settling import settle_batch
from services.ledger import families, work
from services.ledger.database import DatabaseUnavailable
from services.ledger.facts import Fact
from services.ledger.settle import Settled
from services.mqtt import Outgoing
from tests.simulation.bugs.bug import Patch, bug, instead, nothing


@bug("ingest", "the receipt goes out before the commit")
def receipt_before_commit() -> Patch:
    async def settle_batches(self: Ingest, source: Any, ahead: Any, tasks: Any) -> None:
        del tasks
        while True:
            batch = await ahead.take()
            for one in batch:
                said = one.said
                if isinstance(said, Fact) and isinstance(said.message, JobCompleted):
                    done = said.message
                    receipt = codec.encode(CompletionReceived(job=done.job, seq=done.seq, epoch=done.epoch))
                    await source.publish([Outgoing(topics.RECEIPT.topic(said.device), receipt, 1, False)])
            results = await asyncio.to_thread(settle_batch, self._database, batch, self._now_ms())
            source.ack([one.delivery for one in batch])
            await self._tell(source, results)

    return instead(Ingest, "_settle_batches", settle_batches)


@bug("ingest", "a message is acknowledged when it arrives")
def ack_on_arrival() -> Patch:
    async def fill(self: Any, source: Any) -> None:
        while True:
            deliveries = await source.batch(100)
            source.ack(deliveries)
            self._heard += [ahead_module._hear(one) for one in deliveries]
            self._filled.set()

    return instead(Ahead, "fill", fill)


@bug("ingest", "a report that was settled before gets no receipt")
def no_receipt_for_a_repeat() -> Patch:
    told: set[Any] = set()

    def settled(*arguments: Any) -> list[Settled]:
        results = []
        for one in settle_batch(*arguments):
            new = tuple(receipt for receipt in one.receipts if receipt not in told)
            told.update(new)
            results.append(Settled(new, one.stock, one.changed_jobs, one.dead_letters))
        return results

    return instead(ingest_module, "settle_batch", settled)


@bug("ingest", "stock that was told once is not told to a broker that lost it")
def stock_told_once() -> Patch:
    class Keeps(dict[Any, Any]):
        def clear(self) -> None:
            pass

    real = Ingest.__init__

    def init(self: Ingest, *arguments: Any, **named: Any) -> None:
        real(self, *arguments, **named)
        self._told = Keeps()

    return instead(Ingest, "__init__", init)


@bug("ingest", "a database that does not answer counts as a batch settled")
def unavailable_is_settled() -> Patch:
    def settled(*arguments: Any) -> list[Settled]:
        try:
            return settle_batch(*arguments)
        except DatabaseUnavailable:
            return []

    return instead(ingest_module, "settle_batch", settled)


@bug("ingest", "nobody asks for the reports that a restored ledger lost")
def never_asks_for_lost() -> Patch:
    return instead(Ingest, "_ask_for_lost", lambda _self: [])


@bug("orders", "a retry orders again what was dispensed")
def retry_of_everything() -> Patch:
    return instead(families, "left_mg", lambda family: family[0]["target_mg"])


@bug("dispatch", "an offer is sent once")
def offered_once() -> Patch:
    def repeat(sent_at_ms: Any, _now_ms: Any) -> Any:
        return sent_at_ms.is_(None)

    return _without_statements(instead(work, "_repeat", repeat))


@bug("dispatch", "commands are retained")
def retained_command() -> Patch:
    return instead(topics.OFFER, "retained", True)


@bug("dispatch", "a second job is offered while the first one is out")
def two_at_once() -> Patch:
    def to_number(now_ms: Any) -> Any:
        del now_ms
        return work._of_online(work._JOB.job, work._JOB.state).where(work._JOB.state == "queued")

    _, device = work.KINDS[work.NUMBER]
    return _without_statements(patch.dict(work.KINDS, {work.NUMBER: (to_number, device)}))


@bug("dashboard", "the screen is not read from the ledger again")
def never_reread() -> Patch:
    return instead(LiveFeed, "_reread_fleet", nothing)


@bug("dashboard", "the screen believes the ledger's older word on a flask")
def older_flask_on_screen() -> Patch:
    real = DispenserPicture.reread

    def reread(self: DispenserPicture, view: Any) -> None:
        flasks = dict(self.flasks)
        real(self, view)
        self.flasks = flasks

    return instead(DispenserPicture, "reread", reread)


@contextmanager
def _without_statements(patched: Patch) -> Iterator[None]:
    """Statements are made once: a patch of what makes them is for new ones only."""

    def forget() -> None:
        work.found.cache_clear()
        work.among.cache_clear()

    forget()
    try:
        with patched:
            yield
    finally:
        forget()
