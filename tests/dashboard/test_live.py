"""The live feed from messages to viewers, on a virtual clock."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import pytest

from dashboard.ledger_reads import LedgerReads
from dashboard.live import MAX_VIEWERS, LiveFeed, NothingToWatch, TooManyViewers
from tests.dashboard.bench import (
    START_MS,
    Clock,
    Frames,
    MemoryLedger,
    Message,
    accept,
    completion,
    dispenser_view,
    flask_view,
    item_view,
    job_view,
    offer,
    progress,
    receipt,
    settle_loop,
    status,
    stock,
    telemetry,
)


@asynccontextmanager
async def running(feed: LiveFeed) -> AsyncIterator[None]:
    task = asyncio.create_task(feed.run())
    await settle_loop()
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@asynccontextmanager
async def watching(feed: LiveFeed, job: str | None = None) -> AsyncIterator[Frames]:
    async with running(feed), feed.watch(job) as viewer:
        frames = Frames(viewer)
        await frames.read()
        yield frames


def send(feed: LiveFeed, *messages: Message, retained: bool = False) -> None:
    for topic, payload in messages:
        feed.apply(topic, payload, retained=retained)


async def test_a_snapshot_holds_every_dispenser_flask_and_recent_job(feed: LiveFeed) -> None:
    async with watching(feed) as frames:
        assert {key for key in frames.shown if not key.startswith("flask")} == {
            "feed", "device/line-1", "device/line-2", "job/job-1",
        }  # fmt: skip  # one set, one line
        assert len([key for key in frames.shown if key.startswith("flask/")]) == 4


async def test_many_messages_within_the_window_make_one_frame_of_latest_values(feed: LiveFeed, clock: Clock) -> None:
    async with watching(feed) as frames:
        send(feed, telemetry())
        await clock.advance(100)
        await frames.read()  # the first change goes out at once; the window begins
        for revision in range(2, 102):
            send(feed, stock(1, 50_000 - revision, revision))
        await clock.advance(1_000)
        frame = await frames.read()
        assert frame["set"]["flask/line-1/1"]["stock_mg"] == 50_000 - 101
        assert [entry["set"].get("flask/line-1/1") for entry in frames.frames[1:-1]] == [None]


async def test_retained_replays_change_nothing(feed: LiveFeed, ledger: MemoryLedger, clock: Clock) -> None:
    facts = [status(job="job-1"), progress(0, "dispensing"), progress(0, "done"), stock(1, 45_000, 2)]
    moved = flask_view(stock_mg=45_000, available_mg=45_000, revision=2)
    ledger.dispensers["line-1"] = dispenser_view(flasks=(moved, flask_view(flask=2)))
    async with watching(feed) as frames:
        send(feed, *facts)
        await clock.advance(200)
        await frames.read()
        before = dict(frames.shown)
        await clock.advance(60_000)
        send(feed, *facts, *facts, retained=True)
        feed.flush()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await frames.read()
        assert frames.shown == before


async def test_a_late_will_is_ignored(feed: LiveFeed, clock: Clock) -> None:
    async with watching(feed) as frames:
        send(feed, status(connection=5), status(connection=4, online=False))
        await clock.advance(200)
        await frames.read()
        assert frames.shown["device/line-1"]["online"] is True


async def test_a_last_will_is_no_sign_of_life(feed: LiveFeed, clock: Clock) -> None:
    async with watching(feed) as frames:
        await clock.advance(10_000)
        send(feed, status(online=False))
        await clock.advance(200)
        await frames.read()
        assert frames.shown["device/line-1"]["seen_at_ms"] == START_MS - 5_000


async def test_a_job_moves_to_its_end_and_is_settled_by_the_receipt(
    feed: LiveFeed, ledger: MemoryLedger, clock: Clock
) -> None:
    async with watching(feed, "job-1") as frames:
        send(feed, offer(), accept(), progress(0, "dispensing"))
        await clock.advance(200)
        await frames.read()
        assert (frames.shown["job"]["state"], frames.shown["item/0"]["state"]) == ("running", "dispensing")
        send(feed, completion("done", "failed"))
        await clock.advance(200)
        await frames.read()
        assert (frames.shown["job"]["state"], frames.shown["job"]["settled"]) == ("done_partial", False)
        items = (item_view(0, state="done", dispensed_mg=4_990), item_view(1, state="failed", error="jammed"))
        ledger.jobs["job-1"] = job_view(state="done_partial", items=items, ended_at_ms=clock.at_ms)
        send(feed, receipt())
        await clock.advance(1_000)
        await frames.read()
        assert frames.shown["job"]["settled"] is True
        assert frames.shown["item/0"]["dispensed_mg"] == 4_990


async def test_a_job_opened_in_the_middle_shows_the_flask_that_is_open(feed: LiveFeed, clock: Clock) -> None:
    async with running(feed), feed.watch():
        send(feed, accept(), progress(0, "dispensing"))
        async with feed.watch("job-1") as viewer:
            frames = Frames(viewer)
            await frames.read()
            assert (frames.shown["item/0"]["state"], frames.shown["item/0"]["since_ms"]) == ("dispensing", START_MS)


async def test_another_dispensers_word_on_a_job_is_not_shown(feed: LiveFeed, clock: Clock) -> None:
    async with watching(feed, "job-1") as frames:
        send(feed, progress(0, "done", device="line-2"), completion("done", "done", device="line-2"))
        await clock.advance(200)
        feed.flush()
        assert frames.shown["job"]["state"] == "queued"
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await frames.read()


async def test_what_has_no_message_shows_within_seconds(feed: LiveFeed, ledger: MemoryLedger, clock: Clock) -> None:
    async with watching(feed, "job-1") as frames:
        ledger.jobs["job-1"] = job_view(state="expired", ended_at_ms=clock.at_ms)
        await clock.advance(4_000)
        await frames.read()
        assert frames.shown["job"]["state"] == "expired"


async def test_a_new_dispenser_and_a_new_job_appear_and_a_removed_one_goes(
    feed: LiveFeed, ledger: MemoryLedger, clock: Clock
) -> None:
    async with watching(feed) as frames:
        ledger.dispensers = {"line-1": dispenser_view("line-1"), "line-3": dispenser_view("line-3")}
        ledger.jobs["job-2"] = job_view("job-2", device="line-3")
        send(feed, status("line-3"))
        await clock.advance(1_000)
        await frames.read()
        assert {"device/line-3", "flask/line-3/1", "job/job-2"} <= frames.shown.keys()
        assert not {"device/line-2", "flask/line-2/1"} & frames.shown.keys()


async def test_an_order_placed_here_shows_at_once(feed: LiveFeed, ledger: MemoryLedger, clock: Clock) -> None:
    async with watching(feed) as frames:
        ledger.jobs["job-9"] = job_view("job-9")
        await asyncio.to_thread(feed.job_changed, "job-9")
        await clock.advance(500)
        await frames.read()
        assert frames.shown["job/job-9"]["state"] == "queued"


async def test_a_ledger_that_cannot_be_read_is_said_and_the_picture_goes_on(
    feed: LiveFeed, ledger: MemoryLedger, clock: Clock
) -> None:
    async with watching(feed) as frames:
        ledger.fails = True
        send(feed, progress(0, "dispensing"))
        await clock.advance(1_000)
        await frames.read()
        assert frames.shown["feed"]["ledger"] == "unreachable"
        send(feed, progress(0, "done"))
        await clock.advance(200)
        await frames.read()
        assert frames.shown["flask/line-1/1"]["item"]["state"] == "done"
        ledger.fails = False
        await clock.advance(4_000)
        await frames.read()
        assert frames.shown["feed"]["ledger"] == "connected"


async def test_a_broker_out_of_reach_is_said_with_its_time(feed: LiveFeed, clock: Clock) -> None:
    feed.source_back()
    async with watching(feed) as frames:
        await clock.advance(5_000)
        feed.source_lost()
        await clock.advance(200)
        await frames.read()
        assert frames.shown["feed"] == {"broker": "unreachable", "ledger": "connected", "since_ms": START_MS + 5_000}


async def test_unreadable_messages_are_counted_and_change_nothing(feed: LiveFeed) -> None:
    async with watching(feed):
        send(feed, ("pitada/v1/line-1/status", b"{"), ("elsewhere", b"{}"), ("pitada/v1/line-1/status", b"[]" * 3000))
        assert feed.ignored == 3


async def test_nobody_watching_costs_no_reads_of_the_ledger(feed: LiveFeed, ledger: MemoryLedger, clock: Clock) -> None:
    async with running(feed):
        send(feed, status(), progress(0, "done"))
        await clock.advance(20_000)
        assert ledger.reads == 0


async def test_two_viewers_of_a_job_share_it_and_the_last_one_lets_it_go(feed: LiveFeed) -> None:
    async with running(feed), AsyncExitStack() as stack:
        viewers = [await stack.enter_async_context(feed.watch("job-1")) for _ in range(2)]
        assert viewers[0]._channel is viewers[1]._channel  # encoded once for both
        await stack.aclose()
        assert not feed._watched  # nothing is kept for nobody


async def test_a_job_that_is_not_in_the_ledger_cannot_be_watched(feed: LiveFeed) -> None:
    with pytest.raises(NothingToWatch):
        async with feed.watch("nothing"):
            pass


async def test_viewers_are_bounded(ledger: MemoryLedger, clock: Clock) -> None:
    feed = LiveFeed(LedgerReads(ledger.fleet, ledger.job), clock.now_ms, clock.sleep)
    async with AsyncExitStack() as stack:
        for _ in range(MAX_VIEWERS):
            await stack.enter_async_context(feed.watch())
        with pytest.raises(TooManyViewers):
            await stack.enter_async_context(feed.watch())
    async with feed.watch():
        pass


async def test_of_many_viewers_who_come_at_once_one_reads_the_ledger(feed: LiveFeed, ledger: MemoryLedger) -> None:
    async with AsyncExitStack() as stack:
        await asyncio.gather(*(stack.enter_async_context(feed.watch()) for _ in range(50)))
        assert ledger.reads == 1


async def test_a_slow_ledger_is_left_in_peace_for_longer(feed: LiveFeed, ledger: MemoryLedger, clock: Clock) -> None:
    async with running(feed), feed.watch():
        ledger.takes = lambda: clock.sleep(0.5)
        before = ledger.reads
        for revision in range(100):
            send(feed, stock(1, 1_000, revision + 2), progress(0, "done", seq=revision + 1, job=f"j{revision}"))
            await clock.advance(100)
        assert 1 <= ledger.reads - before <= 3, "ten seconds hold two readings of half a second and their rests"
