"""A channel's frames, and viewers that keep up or do not."""

import asyncio
import json
from typing import Any

import pytest

from dashboard.channel import REMEMBERED_REMOVALS, Channel, Viewer
from tests.dashboard.bench import Clock, Frames, settle_loop


@pytest.fixture
def channel(clock: Clock) -> Channel:
    return Channel(clock.now_ms)


def flushed(channel: Channel, **values: Any) -> None:
    for key, value in values.items():
        channel.put(key, value)
    channel.flush()


async def test_a_new_viewer_gets_everything_then_only_what_changed(channel: Channel) -> None:
    flushed(channel, a={"n": 1}, b={"n": 1})
    frames = Frames(Viewer(channel))
    assert (await frames.read())["type"] == "snapshot"
    flushed(channel, b={"n": 2})
    delta = await frames.read()
    assert (delta["type"], delta["set"]) == ("delta", {"b": {"n": 2}})
    assert frames.shown == {"a": {"n": 1}, "b": {"n": 2}}


async def test_an_empty_channel_has_a_snapshot_and_then_nothing(channel: Channel) -> None:
    frames = Frames(Viewer(channel))
    assert (await frames.read())["set"] == {}
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.02):
            await frames.viewer.next()


async def test_a_viewer_that_waits_is_woken_by_the_next_frame(channel: Channel) -> None:
    frames = Frames(Viewer(channel))
    await frames.read()
    waiting = asyncio.create_task(frames.read())
    await settle_loop()
    assert not waiting.done()
    flushed(channel, a={"n": 1})
    assert (await waiting)["set"] == {"a": {"n": 1}}


async def test_a_slow_viewer_gets_the_latest_value_of_each_key_in_one_frame(channel: Channel) -> None:
    flushed(channel, a={"n": 0}, b={"n": 0}, c={"n": 0})
    slow = Frames(Viewer(channel))
    await slow.read()
    for n in range(1, 1001):
        flushed(channel, a={"n": n})
    flushed(channel, b={"n": 1})
    frame = await slow.read()
    assert frame["set"] == {"a": {"n": 1000}, "b": {"n": 1}}
    assert slow.seq == channel.seq


async def test_viewers_that_keep_up_share_one_encoded_frame(channel: Channel) -> None:
    viewers = [Viewer(channel) for _ in range(5)]
    for viewer in viewers:
        await viewer.next()
    flushed(channel, a={"n": 1})
    frames = [await viewer.next() for viewer in viewers]
    assert all(frame is frames[0] for frame in frames)


async def test_a_viewer_that_saw_a_gap_gets_a_new_snapshot_even_while_it_waits(channel: Channel) -> None:
    flushed(channel, a={"n": 1})
    frames = Frames(Viewer(channel))
    await frames.read()
    waiting = asyncio.create_task(frames.read())
    await settle_loop()
    frames.viewer.restart()
    assert (await waiting)["type"] == "snapshot"


def test_a_value_that_is_what_it_was_makes_no_frame(channel: Channel) -> None:
    flushed(channel, a={"n": 1})
    seq = channel.seq
    assert not channel.put("a", {"n": 1})
    assert channel.put("a", {"n": 2})
    assert channel.put("a", {"n": 1}), "back again before the flush: also nothing to send"
    channel.flush()
    assert channel.seq == seq


async def test_a_removed_key_is_told_to_those_who_had_it_and_absent_from_a_snapshot(channel: Channel) -> None:
    flushed(channel, a={"n": 1}, b={"n": 1})
    frames = Frames(Viewer(channel))
    await frames.read()
    flushed(channel, a=None)
    await frames.read()
    assert frames.shown == {"b": {"n": 1}}
    assert json.loads(channel.after(0) or "")["set"] == {"b": {"n": 1}}
    assert channel.keys() == {"b"}


async def test_removals_are_forgotten_in_the_end_and_a_viewer_from_before_starts_anew(channel: Channel) -> None:
    flushed(channel, keep={"n": 1})
    slow = Frames(Viewer(channel))
    await slow.read()
    for n in range(REMEMBERED_REMOVALS + 1):
        flushed(channel, **{f"job/{n}": {"n": n}})
        flushed(channel, **{f"job/{n}": None})
    assert len(channel._entries) <= REMEMBERED_REMOVALS + 1  # the bound is the point
    assert (await slow.read())["type"] == "snapshot"
    assert slow.shown == {"keep": {"n": 1}}
