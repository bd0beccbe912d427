"""A channel: the latest value of each key, and what changed since a viewer last looked.

A viewer is a number (the last `seq` it was sent), not a queue. One that keeps up gets the frame that all share; one
that fell behind gets one frame with the latest value of each key that changed meanwhile. So a slow viewer costs no
memory and nobody waits for it.
"""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

Value = Mapping[str, object]

# Removed keys are remembered for viewers that are behind; one that missed more than these gets a new snapshot.
REMEMBERED_REMOVALS = 256


@dataclass(frozen=True, slots=True)
class _Entry:
    seq: int
    value: Value | None
    encoded: str


class Channel:
    """Values by key. Changes are collected with `put` and become one frame at `flush`.

    Frames are JSON: `{"type": "snapshot" | "delta", "from": seq, "seq": seq, "now_ms": …, "set": {key: value | null}}`.
    A delta may be applied only on top of `from`; null removes the key.
    """

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self.seq = 1  # 0 is a viewer that has seen nothing
        self._now_ms = now_ms
        self._entries: dict[str, _Entry] = {}  # in the order of their last change
        self._waiting: dict[str, Value | None] = {}
        self._forgotten_seq = 0
        self._removals = 0
        self._shared = (0, "")
        self._changed = asyncio.Event()

    def put(self, key: str, value: Value | None) -> bool:
        """The latest value of a key (None removes it), for the next frame. False when that changes nothing."""
        entry = self._entries.get(key)
        shown = entry.value if entry else None
        if self._waiting.get(key, shown) == value:
            return False
        if shown == value:
            self._waiting.pop(key, None)
        else:
            self._waiting[key] = value
        return True

    def keys(self) -> set[str]:
        """The keys that have a value, waiting changes included."""
        keys = {key for key, entry in self._entries.items() if entry.value is not None}
        keys |= {key for key, value in self._waiting.items() if value is not None}
        return keys - {key for key, value in self._waiting.items() if value is None}

    @property
    def dirty(self) -> bool:
        """Whether the next `flush` makes a frame."""
        return bool(self._waiting)

    def flush(self) -> None:
        """Encode what changed, once, and wake the viewers."""
        if not self._waiting:
            return
        self.seq += 1
        for key, value in self._waiting.items():
            old = self._entries.pop(key, None)
            self._removals += (value is None) - (old is not None and old.value is None)
            encoded = f"{json.dumps(key)}:{json.dumps(value, separators=(',', ':'))}"
            self._entries[key] = _Entry(self.seq, value, encoded)
        self._waiting.clear()
        if self._removals > REMEMBERED_REMOVALS:
            self._forget_removals()
        self._shared = (0, "")
        self.wake()

    def after(self, seen: int) -> str | None:
        """The frame that brings a viewer from `seen` to now, 0 for a snapshot; None when there is nothing new."""
        if seen == self.seq:
            return None
        if self._shared[0] == seen and self._shared[1]:
            return self._shared[1]
        snapshot = seen == 0 or seen < self._forgotten_seq or seen > self.seq
        encoded = []
        for entry in reversed(self._entries.values()):
            if not snapshot and entry.seq <= seen:
                break
            if not snapshot or entry.value is not None:
                encoded.append(entry.encoded)
        kind = "snapshot" if snapshot else "delta"
        head = f'"type":"{kind}","from":{seen},"seq":{self.seq},"now_ms":{self._now_ms()}'
        frame = f'{{{head},"set":{{{",".join(encoded)}}}}}'
        if seen == self.seq - 1 and not snapshot:
            self._shared = (seen, frame)
        return frame

    async def changed(self) -> None:
        """Wait until there may be something new."""
        await self._changed.wait()

    def wake(self) -> None:
        """Let every viewer look again."""
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def _forget_removals(self) -> None:
        self._forgotten_seq = self.seq
        self._entries = {key: entry for key, entry in self._entries.items() if entry.value is not None}
        self._removals = 0


class Viewer:
    """One reader of a channel."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._seen = 0

    async def next(self) -> str:
        """The next frame, a snapshot at first. Cancelling it loses nothing."""
        while True:
            frame = self._channel.after(self._seen)
            if frame is not None:
                self._seen = self._channel.seq
                return frame
            await self._channel.changed()

    def restart(self) -> None:
        """The viewer noticed a gap: its next frame is a snapshot."""
        self._seen = 0
        self._channel.wake()
