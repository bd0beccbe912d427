"""Retained messages on disk, so that a restart of the broker forgets none. One SQLite file, written in batches.

What is kept: the retained message of each topic. What is not: sessions, subscriptions and queues; the clients ask for
those again when they reconnect, and reports are repeated until they are receipted.
"""

import asyncio
import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

_log = logging.getLogger(__name__)

# A change is on disk this long after it was made, at the latest (and at `stop`). What a kill -9 loses is no older.
FLUSH_INTERVAL_S = 0.5

# Waiting for another process that uses the file, before a flush is tried again later.
_BUSY_TIMEOUT_S = 2.0


class StoreBroken(Exception):
    """The file of retained messages cannot be read or written."""


class RetainedStore:
    """`changed` is called in the event loop and only notes; a task writes in a worker thread."""

    def __init__(self, path: Path, flush_interval_s: float = FLUSH_INTERVAL_S) -> None:
        self._path = path
        self._interval_s = flush_interval_s
        self._changes: dict[str, tuple[bytes, int]] = {}  # the last change of each topic: never more than topics
        self._changed = asyncio.Event()
        self._stopping = asyncio.Event()
        self._writing: asyncio.Task[None] | None = None

    def load(self) -> list[tuple[str, bytes, int]]:
        """(topic, payload, QoS) of every retained message. Makes the file when there is none."""
        try:
            with closing(self._open()) as database:
                return list(_rows(database))
        except sqlite3.Error as error:
            raise StoreBroken(
                f"{self._path} cannot be read ({error}). Move it away: the broker starts empty, and dispensers and "
                "services publish their state again."
            ) from error

    def changed(self, topic: str, payload: bytes, qos: int) -> None:
        """Note a change; an empty payload removes the topic."""
        self._changes[topic] = (payload, qos)
        self._changed.set()

    def start(self) -> None:
        """Begin to write."""
        self._writing = asyncio.create_task(self._write_for_ever(), name="retained messages to disk")

    async def stop(self) -> None:
        """Write what is left. Raises `StoreBroken` when that fails."""
        self._stopping.set()
        self._changed.set()
        if self._writing is not None:
            # Not cancelled: a thread that still writes older changes would then run beside the last flush.
            await self._writing
            self._writing = None
        await self.flush()

    async def flush(self) -> None:
        """Write all changes noted so far, in one transaction."""
        changes, self._changes = self._changes, {}
        self._changed.clear()
        if not changes:
            return
        try:
            await asyncio.to_thread(self._save, changes)
        except sqlite3.Error as error:
            self._changes = changes | self._changes
            self._changed.set()
            raise StoreBroken(
                f"{self._path} cannot be written ({error}). Free disk space or check its permissions."
            ) from error

    async def _write_for_ever(self) -> None:
        while not self._stopping.is_set():
            await self._changed.wait()
            with suppress(TimeoutError):  # collects what else changes meanwhile
                await asyncio.wait_for(self._stopping.wait(), self._interval_s)
            try:
                await self.flush()
            except StoreBroken as error:
                _log.warning("%s The retained messages are kept in memory and written later.", error)

    def _save(self, changes: dict[str, tuple[bytes, int]]) -> None:
        with closing(self._open()) as database, database:
            database.executemany(
                "INSERT OR REPLACE INTO retained (topic, payload, qos) VALUES (?, ?, ?)",
                [(topic, payload, qos) for topic, (payload, qos) in changes.items() if payload],
            )
            database.executemany(
                "DELETE FROM retained WHERE topic = ?",
                [(topic,) for topic, (payload, _) in changes.items() if not payload],
            )

    def _open(self) -> sqlite3.Connection:
        database = sqlite3.connect(self._path, timeout=_BUSY_TIMEOUT_S)
        try:
            database.execute("PRAGMA journal_mode = WAL")
            # NORMAL loses at most the last transactions at a power cut, never the file; a retained message is a state
            # that its owner publishes again.
            database.execute("PRAGMA synchronous = NORMAL")
            database.execute(
                "CREATE TABLE IF NOT EXISTS retained"
                " (topic TEXT PRIMARY KEY, payload BLOB NOT NULL, qos INTEGER NOT NULL) WITHOUT ROWID"
            )
        except sqlite3.Error:
            database.close()
            raise
        return database


def _rows(database: sqlite3.Connection) -> Iterator[tuple[str, bytes, int]]:
    yield from database.execute("SELECT topic, payload, qos FROM retained")
