"""Orders leave for online dispensers, are decided before they leave, and survive what breaks on the way."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence

from protocol import codec, messages, topics
from services import devices, orders
from services.devices import FlaskSetup
from services.dispatch import Dispatch
from services.ledger import queries
from services.ledger.database import Database
from services.ledger.settle import Incoming, settle
from services.memory_broker import MemoryBroker
from services.mqtt import Outgoing
from services.orders import OrderedItem

NOW_MS = 1_700_000_000_000
DEVICE = "kitchen"


def claim_and_order(database: Database, *, online: bool = True) -> str:
    devices.claim(
        database, DEVICE, name="Kitchen", flasks=[FlaskSetup(1, "Salt", 500_000, 500_000)], now_ms=NOW_MS, by="ana"
    )
    if online:
        status = messages.StatusReported(
            online=True, epoch="deadbeef", boot=1, connection=1, ms=5, firmware="1.0", reset_cause="power_on",
            config_version=1, job=None, last_seq=0, receipted_seq=0, fault=None,
        )  # fmt: skip
        with database.write() as tx:
            settle(tx, [Incoming(topics.STATUS.topic(DEVICE), codec.encode(status))], NOW_MS)
    items = [OrderedItem(1, 5_000)]
    return orders.place(database, device=DEVICE, items=items, now_ms=NOW_MS, job_id="job-1", by="ana").job


@contextlib.asynccontextmanager
async def dispatching(database: Database, broker: MemoryBroker) -> AsyncIterator[Dispatch]:
    dispatch = Dispatch(database, broker.connect, lambda: NOW_MS)
    task = asyncio.create_task(dispatch.run())
    try:
        yield dispatch
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_an_order_is_offered_to_its_online_dispenser_and_is_not_retained(database: Database) -> None:
    job = claim_and_order(database)
    broker = MemoryBroker()
    async with dispatching(database, broker):
        await broker.until(lambda: any(one.topic == topics.OFFER.topic(DEVICE) for one in broker.published))
    sent = next(one for one in broker.published if one.topic == topics.OFFER.topic(DEVICE))
    offer = codec.decode(messages.OfferJob, sent.payload)
    assert (sent.qos, sent.retained) == (1, False)
    assert (offer.job, offer.seq, offer.epoch) == (job, 1, "deadbeef")
    assert offer.items == (messages.OfferedItem(flask=1, target_mg=5_000),)


async def test_the_offer_is_in_the_ledger_before_it_leaves(database: Database) -> None:
    job = claim_and_order(database)
    seen: list[str] = []

    def look(messages: Sequence[Outgoing]) -> None:
        if any(one.topic == topics.OFFER.topic(DEVICE) for one in messages):
            with database.read() as tx:
                found = queries.job(tx, job)
            assert found is not None
            seen.append(found.state)

    broker = MemoryBroker(on_publish=look)
    async with dispatching(database, broker):
        await broker.until(lambda: bool(seen))
    assert set(seen) == {"offered"}


async def test_nothing_is_sent_for_a_dispenser_that_was_never_online(database: Database) -> None:
    job = claim_and_order(database, online=False)
    broker = MemoryBroker()
    async with dispatching(database, broker) as dispatch:
        # A look has been taken when the service is up.
        await broker.until(lambda: bool(dispatch.health.ok))
    with database.read() as tx:
        found = queries.job(tx, job)
    assert found is not None
    assert found.state == "queued"
    assert not [one for one in broker.published if one.topic == topics.OFFER.topic(DEVICE)]
