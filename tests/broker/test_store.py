"""Retained messages on disk."""

import asyncio
from pathlib import Path

import pytest

from broker.store import RetainedStore, StoreBroken


async def test_what_was_stored_at_stop_is_loaded_again_also_binary(tmp_path: Path) -> None:
    first = RetainedStore(tmp_path / "retained.db")
    assert first.load() == []
    first.start()
    first.changed("a/b", b"\x00\xff", 1)
    first.changed("a/c", b"old", 0)
    first.changed("a/c", b"new", 0)
    await first.stop()

    assert sorted(RetainedStore(tmp_path / "retained.db").load()) == [("a/b", b"\x00\xff", 1), ("a/c", b"new", 0)]


async def test_a_cleared_message_is_gone_after_a_restart(tmp_path: Path) -> None:
    store = RetainedStore(tmp_path / "retained.db")
    store.changed("a/b", b"here", 1)
    await store.flush()
    store.changed("a/b", b"", 1)
    await store.flush()

    assert store.load() == []


async def test_changes_reach_the_disk_without_a_stop(tmp_path: Path) -> None:
    store = RetainedStore(tmp_path / "retained.db", flush_interval_s=0.01)
    store.start()

    store.changed("a/b", b"here", 1)

    async with asyncio.timeout(5):
        while not RetainedStore(tmp_path / "retained.db").load():
            await asyncio.sleep(0.01)
    await store.stop()


async def test_a_flush_that_fails_keeps_the_changes_for_the_next(tmp_path: Path) -> None:
    directory = tmp_path / "missing"
    store = RetainedStore(directory / "retained.db")
    store.changed("a/b", b"old", 1)
    with pytest.raises(StoreBroken, match="cannot be written"):
        await store.flush()
    store.changed("a/b", b"new", 1)
    directory.mkdir()

    await store.flush()

    assert store.load() == [("a/b", b"new", 1)]


def test_a_file_that_is_no_database_is_named_in_the_error(tmp_path: Path) -> None:
    broken = tmp_path / "retained.db"
    broken.write_bytes(b"not a database" * 100)

    async def load() -> None:
        RetainedStore(broken).load()

    with pytest.raises(StoreBroken, match=r"retained\.db"):
        asyncio.run(load())
