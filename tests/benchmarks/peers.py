"""The same backlog for each peer: Pitada's ingest, the same with one transaction a message, and Node-RED.

Each drains it from a Mosquitto into a PostgreSQL that nobody used before; then a second one, with a `kill -9` in the
middle of it. What was sent is the oracle for the tables of all.
"""

import asyncio
import contextlib
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sqlalchemy import Executable, func, select, text

from protocol import topics
from protocol.states import job_rank
from services.ingest import BATCH_MOST
from services.ledger import tables
from services.ledger.database import Database
from services.mqtt import Account, BrokerAddress, connected
from tests.benchmarks import raw_mqtt
from tests.benchmarks.backlog import FLASKS, Work, backlog, compare, fill, job_id
from tests.benchmarks.bench_ingest import CEILING_USER, broker, drained, leave
from tests.benchmarks.bench_settle import database_of
from tests.benchmarks.ingesting import Asked
from tests.benchmarks.node_red_process import USER, NodeRed
from tests.chaos import ingest_process
from tests.chaos.ingest_process import IngestProcess

# One transaction a message is the slowest of the three; a drain that takes longer has lost something.
_DEADLINE_S = 900.0

# Seldom enough that what looks does not take the machine from what is measured.
_LOOK_S = 0.1

# Soon enough that a kill falls where it was meant to.
_POLL_S = 0.01

_SETTLED = select(func.count()).select_from(tables.job).where(tables.job.c.rank == job_rank("done"))
_BUSY = text(
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE state <> 'idle' AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
)

# Who hears the receipts, to count them.
_COUNTS = Account(CEILING_USER, raw_mqtt.PASSWORD)

# Said after a drain: once they are settled, everything before them was.
_MARKERS = 2


@dataclass(frozen=True)
class Drain:
    """A whole backlog, by a peer that nobody disturbed."""

    settled_per_s: float
    cpu_s_per_1000: float
    lost: int
    duplicated: int
    receipts_missing: int


@dataclass(frozen=True)
class Kill:
    """`left` items were not in the ledger when the peer was killed; after its next life `lost` still are not."""

    left: int
    lost: int
    duplicated: int


@dataclass(frozen=True)
class Site:
    """A fresh database, and a fresh broker that keeps the work for ingest."""

    database: Database
    port: int
    directory: Path


class Killable(Protocol):
    """A peer as a process."""

    def start(self) -> None: ...
    def kill(self) -> None: ...


@dataclass(frozen=True)
class Peer:
    """`run` settles that many messages and returns (seconds, CPU seconds); `process` runs inside its block."""

    title: str
    run: Callable[[Site, Work], tuple[float, float]]
    process: Callable[[Site], AbstractContextManager[Killable]]


def drain(peer: Peer, work: Work) -> Drain:
    """Settle the work, undisturbed."""
    with _site(work, markers=0) as site:
        asyncio.run(_await_receipts(site.port))
        took_s, cpu_s = peer.run(site, work)
        receipts = asyncio.run(_receipts(site.port, work.jobs))
        difference = compare(site.database, (work,))
    return Drain(
        settled_per_s=work.messages / took_s,
        cpu_s_per_1000=cpu_s / work.messages * 1000,
        lost=difference.lost,
        duplicated=difference.duplicated,
        receipts_missing=work.jobs - receipts,
    )


def kill(peer: Peer, work: Work) -> Kill:
    """Settle the work, killed once when half of it is in the ledger."""
    items = work.jobs * FLASKS
    with _site(work, markers=_MARKERS) as site, peer.process(site) as process:
        _wait(site, f"{items // 2} movements", lambda: _movements(site) >= items // 2)
        process.kill()
        left = items - _movements(site)
        assert left > 0, "it had settled everything before it was killed: give it more messages"
        process.start()
        markers = [Work(work.jobs + number, 1, work.devices) for number in range(_MARKERS)]
        # The second is said when the first is settled: by then the peer has subscribed, and has what was retained.
        for marker in markers:
            asyncio.run(raw_mqtt.preload(site.port, backlog(marker)))
            _wait(site, "the last job", lambda first=marker.first: _is_settled(site, first))  # type: ignore[misc]
        _wait(site, "the last statement", lambda: _is_idle(site))
        difference = compare(site.database, (work, *markers))
    return Kill(left, difference.lost, difference.duplicated)


@contextmanager
def _site(work: Work, markers: int) -> Iterator[Site]:
    with (
        database_of("postgresql") as database,
        broker() as port,
        tempfile.TemporaryDirectory(prefix="pitada-peers-") as directory,
    ):
        fill(database, work.jobs + markers, work.devices)
        asyncio.run(leave(port, work, USER))
        yield Site(database, port, Path(directory))


def _ingest(batch_most: int) -> Callable[[Site, Work], tuple[float, float]]:
    def run(site: Site, work: Work) -> tuple[float, float]:
        done = drained(Asked(site.database.url, site.port, work.messages, batch_most))
        return done.took_s, done.cpu_s

    return run


def _ingest_process(batch_most: int) -> Callable[[Site], AbstractContextManager[Killable]]:
    def process(site: Site) -> IngestProcess:
        password = site.directory / "password"
        password.touch(mode=0o600)
        password.write_text(raw_mqtt.PASSWORD)
        return IngestProcess(site.database.url, site.port, password, site.directory / "log", batch_most)

    return process


def _node_red(site: Site) -> NodeRed:
    return NodeRed(site.database.url, site.port, site.directory / "node-red")


def _run_node_red(site: Site, work: Work) -> tuple[float, float]:
    """From its connection to the last job's end in the tables."""
    with _node_red(site) as process:

        def is_through() -> bool:
            process.check()
            return _jobs_settled(site) >= work.jobs

        began, cpu_s = time.perf_counter(), _cpu_s(process.pid)
        _wait(site, "the last job", is_through, _LOOK_S)
        took_s, cpu_s = time.perf_counter() - began, _cpu_s(process.pid) - cpu_s
        _wait(site, "the last statement", lambda: _is_idle(site))
    return took_s, cpu_s


# The slowest last: it takes minutes, the others seconds.
PEERS = {
    "pitada": Peer("Pitada", _ingest(BATCH_MOST), _ingest_process(ingest_process.BATCH_MOST)),
    "node_red": Peer("Node-RED, pool of ten", _run_node_red, _node_red),
    "one_by_one": Peer("Pitada, one transaction a message", _ingest(1), _ingest_process(1)),
}


async def _await_receipts(port: int) -> None:
    """Let the broker keep the receipts, for whoever counts them later."""
    async with connected(BrokerAddress("127.0.0.1", port), _COUNTS, persistent=True) as link:
        await link.subscribe([topics.RECEIPT.filter()])


async def _receipts(port: int, jobs: int) -> int:
    """Of how many jobs a receipt was sent."""
    heard: set[str] = set()
    async with connected(BrokerAddress("127.0.0.1", port), _COUNTS, persistent=True) as link:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(10):
                while len(heard) < jobs:
                    heard |= {json.loads(delivery.payload)["job"] for delivery in await link.batch(1000)}
    return len(heard)


def _wait(site: Site, what: str, is_there: Callable[[], bool], every_s: float = _POLL_S) -> None:
    deadline = time.monotonic() + _DEADLINE_S
    while not is_there():
        if time.monotonic() > deadline:
            raise TimeoutError(f"no sign of {what}; {_jobs_settled(site)} jobs are settled")
        time.sleep(every_s)


def _movements(site: Site) -> int:
    return _count(site, select(func.count()).select_from(tables.stock_movement))


def _jobs_settled(site: Site) -> int:
    return _count(site, _SETTLED)


def _is_settled(site: Site, job: int) -> bool:
    return _count(site, _SETTLED.where(tables.job.c.job == job_id(job))) == 1


def _is_idle(site: Site) -> bool:
    return _count(site, _BUSY) == 0


def _count(site: Site, query: Executable) -> int:
    with site.database.read() as tx:
        return int(tx.execute(query).scalar_one())


def _cpu_s(pid: int | None) -> float:
    # The name in brackets may hold blanks; user and system time are the 14th and 15th field.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
