"""The disk full, the database gone, the broker gone, both gone: ingest stays up, says so, and loses nothing."""

import asyncio
import contextlib
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.ledger.audit import audit
from tests.chaos.oracle import final_tables
from tests.chaos.repeaters import Repeaters
from tests.chaos.servers import Servers, servers
from tests.chaos.workload import Workload, ended, make, tables_of

# Room for the tables of the workload and their first changes; the ballast takes the rest.
_DISK_MB = 4
_SETTLES_WITHIN_S = 30.0


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A file system of a few megabytes."""
    directory = Path(tempfile.mkdtemp(prefix="pitada-disk-"))
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={_DISK_MB}m", "none", str(directory)], check=False, capture_output=True
    )
    if mounted.returncode != 0:
        directory.rmdir()
        why = f"a small disk cannot be mounted here, so a full one is NOT TESTED: {mounted.stderr.decode().strip()}"
        if os.environ.get("CI") == "true":
            pytest.fail(why)
        pytest.skip(why)
    try:
        yield directory
    finally:
        subprocess.run(["umount", "--lazy", str(directory)], check=True)
        directory.rmdir()


def fill(disk: Path) -> Path:
    """Takes every byte that is left. Returns the file that holds them."""
    ballast = disk / "ballast"
    with ballast.open("ab", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    return ballast


async def test_a_full_disk_is_named_and_loses_nothing_and_space_brings_ingest_back_by_itself(small_disk: Path) -> None:
    work = make(1, 240, 4)
    with servers("sqlite", work, ledger=small_disk) as real, real.ingest() as ingest:
        await asyncio.to_thread(ingest.wait, True)
        async with Repeaters(real, work) as fleet:
            await fleet.next_receipt(_SETTLES_WITHIN_S)
            ballast = await asyncio.to_thread(fill, small_disk)
            why = await asyncio.to_thread(ingest.wait, False)
            assert "full" in why
            pid = ingest.pid
            receipted = set(fleet.receipted)
            assert receipted <= await asyncio.to_thread(ended, real.database)
            ballast.unlink()
            await asyncio.to_thread(ingest.wait, True)
            assert (ingest.running, ingest.pid) == (True, pid)
            await fleet.finish(_SETTLES_WITHIN_S)
        assert_whole(real, fleet, work)


@pytest.mark.parametrize("gone", ["database", "broker", "both"])
async def test_ingest_says_what_is_gone_for_as_long_as_it_is_and_is_back_by_itself(gone: str) -> None:
    work = make(2, 400, 4)
    with servers("postgresql", work, fsync=False) as real, real.ingest() as ingest:
        assert real.postgresql is not None
        await asyncio.to_thread(ingest.wait, True)
        async with Repeaters(real, work) as fleet:
            await fleet.next_receipt(_SETTLES_WITHIN_S)
            if gone != "database":
                await asyncio.to_thread(real.mosquitto.stop)
            if gone != "broker":
                await asyncio.to_thread(real.postgresql.kill)
            why = await asyncio.to_thread(ingest.wait, False)
            assert "broker" in why or "database" in why
            # While it lasts, it is not up for a moment.
            with pytest.raises(AssertionError, match="did not become up"):
                await asyncio.to_thread(ingest.wait, True, 2.0)
            assert ingest.running
            if gone != "database":
                await asyncio.to_thread(real.mosquitto.start)
            if gone != "broker":
                await asyncio.to_thread(real.postgresql.start)
            await asyncio.to_thread(ingest.wait, True)
            await fleet.finish(_SETTLES_WITHIN_S)
        assert_whole(real, fleet, work)


def assert_whole(real: Servers, fleet: Repeaters, work: Workload) -> None:
    """The tables are what was said, and every receipt was true."""
    expected = final_tables(work.all_orders, fleet.said, work.stock_mg)
    assert expected.differences(tables_of(real.database)) == []
    assert fleet.receipted <= ended(real.database)
    with real.database.read() as tx:
        assert audit(tx).problems == []
