"""The disk full, the database gone, the broker gone, both gone: ingest stays up, says so, and loses nothing."""

import asyncio
import contextlib
import os
import random
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pitada.demo.summary import summarise
from pitada.local.mosquitto import LocalMosquitto
from pitada.local.postgresql import LocalPostgresql
from pitada.secrets import service_accounts
from services import devices
from services.clock import now_ms
from services.ledger.audit import audit
from services.ledger.database import Database
from simulators.fleet import Fleet
from tests.chaos.house_kills import House, all_ended, claim, fill_queues
from tests.chaos.oracle import final_tables
from tests.chaos.repeaters import Repeaters
from tests.chaos.servers import Servers, servers
from tests.chaos.workload import Workload, ended, make, tables_of

# Real servers on a machine that does other things too.
pytestmark = pytest.mark.timeout(300)

# Room for the tables of the workload and their first changes; the ballast takes the rest.
_DISK_MB = 4
_SETTLES_WITHIN_S = 30.0

# How long an outage lasts at least: twice the pause between two tries.
_LASTS_S = 1.0


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


@pytest.fixture
def server_directory() -> Iterator[Path]:
    """A directory that PostgreSQL may enter when root runs it, which pytest's own are not."""
    directory = Path(tempfile.mkdtemp(prefix="pitada-chaos-"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


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


async def test_a_house_on_a_full_disk_stays_up_and_goes_on_when_there_is_space(small_disk: Path) -> None:
    database = Database(f"sqlite:///{small_disk / 'ledger.db'}")
    database.migrate()
    house = House(small_disk)
    try:
        async with Fleet(claim(database, 2), "127.0.0.1", house.port, seed=1, plan="home") as fleet:
            house.start()
            rng = random.Random(1)
            await asyncio.to_thread(fill_queues, database, rng)
            await fleet.wait_until(lambda: fleet.openings > 0, 60)
            ballast = await asyncio.to_thread(fill, small_disk)
            async with asyncio.timeout(30):
                while "service down" not in house.said:
                    await asyncio.sleep(0.05)
            assert house.running
            ballast.unlink()
            await all_ended(database)
            found = await asyncio.to_thread(summarise, database, fleet, 0)
        assert house.running
        assert (found.divergences, found.double_dispenses, found.problems) == (0, 0, ())
    finally:
        house.kill()
        database.close()


@pytest.mark.parametrize("gone", ["database", "broker"])
async def test_ingest_says_what_is_gone_for_as_long_as_it_is_and_is_back_by_itself(gone: str) -> None:
    work = make(2, 400, 4)
    with servers("postgresql", work, fsync=False) as real, real.ingest() as ingest:
        assert real.postgresql is not None
        await asyncio.to_thread(ingest.wait, True)
        async with Repeaters(real, work) as fleet:
            await fleet.next_receipt(_SETTLES_WITHIN_S)
            stop, start = {
                "database": (real.postgresql.kill, real.postgresql.start),
                "broker": (real.mosquitto.stop, real.mosquitto.start),
            }[gone]
            await asyncio.to_thread(stop)
            why = await asyncio.to_thread(ingest.wait, False)
            assert gone in why
            # While it lasts, it is not up for a moment.
            with pytest.raises(AssertionError, match="did not become up"):
                await asyncio.to_thread(ingest.wait, True, _LASTS_S)
            assert ingest.running
            await asyncio.to_thread(start)
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


async def test_a_house_that_loses_its_database_and_its_broker_goes_on_when_both_are_back(
    tmp_path: Path, server_directory: Path
) -> None:
    with contextlib.ExitStack() as stack:
        postgresql = stack.enter_context(LocalPostgresql(server_directory / "postgresql", fsync=False))
        database = Database(postgresql.url)
        stack.callback(database.close)
        database.migrate()
        specs = claim(database, 2)
        service_accounts(tmp_path, database, now_ms())
        mosquitto = stack.enter_context(LocalMosquitto(server_directory / "mosquitto", devices.accounts(database)))
        external = ("--broker", "external", "--broker-port", str(mosquitto.port))
        house = House(tmp_path, *external, "--database-url", postgresql.url)
        stack.callback(house.kill)
        house.start()
        async with Fleet(specs, mosquitto.host, mosquitto.port, seed=1, plan="home") as fleet:
            for _ in range(2):
                before, said = fleet.openings, house.said.count("service down")
                await asyncio.to_thread(fill_queues, database, random.Random(1))
                await fleet.wait_until(lambda before=before: fleet.openings > before, 60)  # type: ignore[misc]  # bound now
                await asyncio.to_thread(postgresql.kill)
                await asyncio.to_thread(mosquitto.kill)
                async with asyncio.timeout(30):
                    while house.said.count("service down") < said + 2:
                        await asyncio.sleep(0.05)
                assert house.running
                await asyncio.to_thread(postgresql.start)
                await asyncio.to_thread(mosquitto.start)
            await all_ended(database)
            found = await asyncio.to_thread(summarise, database, fleet, 0)
        assert house.running
        assert (found.divergences, found.double_dispenses, found.problems) == (0, 0, ())
