"""A backlog at a real Mosquitto, drained by the real ingest into a real database. One JSON line.

`make bench ARGS="ingest --json"`; `--latency S` and `--memory` measure those instead. Mosquitto has its generated
access rules; PostgreSQL runs with fsync and synchronous_commit on, SQLite with synchronous FULL. All of it shares the
machine.
"""

import argparse
import asyncio
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pitada.local.mosquitto import LocalMosquitto
from services.ingest import FILTERS
from tests.benchmarks import raw_mqtt
from tests.benchmarks.backlog import MESSAGES_PER_JOB, Work, backlog, compare, device_name, fill
from tests.benchmarks.bench_settle import database_of
from tests.benchmarks.ingesting import Asked, Drained, ingesting, result, subscribe_for_later
from tests.programs import need

DEVICES = 1000
CEILING_USER = "svc_dashboard"  # an account that may read the same topics

# One by one is so much slower that a small part tells the rate.
SINGLE_JOBS = 100


def main(arguments: list[str]) -> None:
    """Prints the line of JSON."""
    parser = argparse.ArgumentParser(prog="make bench ARGS=ingest", description=__doc__)
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--databases", nargs="+", default=["postgresql", "sqlite"], choices=["postgresql", "sqlite"])
    parser.add_argument("--latency", type=int, metavar="S", help="instead: 1,000 messages a second for S seconds")
    parser.add_argument("--memory", action="store_true", help="instead: what ingest grows by (1,000,000 messages)")
    asked = parser.parse_args(arguments)
    figures: dict[str, object] = {"benchmark": "ingest", "machine": machine(), "devices": DEVICES}
    if asked.latency is not None:
        figures |= latency(asked.databases[0], asked.latency)
    elif asked.memory:
        figures |= memory(asked.databases[0], asked.messages if asked.messages != 100_000 else 1_000_000)
    else:
        for kind in asked.databases:
            figures |= throughput(kind, asked.messages)
    sys.stdout.write(json.dumps(figures) + "\n")


def machine() -> str:
    return f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"


def throughput(kind: str, messages: int) -> dict[str, object]:
    """In batches and one by one; on PostgreSQL also what the broker alone gives."""
    work = Work(0, messages // MESSAGES_PER_JOB, DEVICES)
    singly = Work(work.jobs, SINGLE_JOBS, DEVICES)
    figures: dict[str, object] = {"messages": work.messages}
    with database_of(kind) as database, broker() as port:
        fill(database, work.jobs + singly.jobs, DEVICES)
        asyncio.run(leave(port, work, "svc_ingest", CEILING_USER))
        ceiling = ceiling_per_s(port, work.messages)
        batched = drained(Asked(database.url, port, work.messages))
        asyncio.run(leave(port, singly, "svc_ingest"))
        one_by_one = drained(Asked(database.url, port, singly.messages, batch_most=1))
        difference = compare(database, (work, singly))
    # One by one the retained messages of the drain before are most of what there is: they count for it too.
    rate, single_rate = batched.acknowledged / batched.took_s, one_by_one.settled / one_by_one.took_s
    receipts = batched.receipts + one_by_one.receipts
    named = {
        "settled_per_s": round(rate),
        "one_by_one_per_s": round(single_rate),
        "ratio": round(rate / single_rate, 1),
        "ceiling_per_s": round(ceiling),
        "lost": difference.lost,
        "duplicated": difference.duplicated,
        "receipts_missing": max(0, work.jobs + singly.jobs - receipts),
        "cpu_us_per_message": round(batched.cpu_s / batched.acknowledged * 1e6, 1),
        "batches": batched.batches,
    }
    if kind == "sqlite":
        named["per_s"] = named.pop("settled_per_s")
        named = {f"sqlite_{name}": value for name, value in named.items() if name != "ceiling_per_s"}
    return figures | named


def latency(kind: str, seconds: int) -> dict[str, object]:
    """From the publish of a completion to its receipt, while the fleet says 1,000 messages a second."""
    work = Work(0, seconds * 1000 // MESSAGES_PER_JOB, DEVICES)
    with database_of(kind) as database, broker() as port:
        fill(database, work.jobs, DEVICES)
        asyncio.run(subscribe_for_later(port, "svc_ingest"))
        with ingesting(Asked(database.url, port)) as here:
            taken_ms = asyncio.run(_steady(port, work))
            here.send("stop")
            done = result(here)
        difference = compare(database, (work,))
    centiles = statistics.quantiles(taken_ms, n=100)
    return {
        "database": kind,
        "seconds": seconds,
        "receipts": len(taken_ms),
        "p50_ms": round(statistics.median(taken_ms), 1),
        "p99_ms": round(centiles[98], 1),
        "slowest_ms": round(max(taken_ms), 1),
        "lost": difference.lost,
        "duplicated": difference.duplicated,
        "ingest_cpu": round(done.cpu_s / done.took_s, 2),
    }


def memory(kind: str, messages: int) -> dict[str, object]:
    """By how much a backlog makes the ingest process grow, from before it connects to its peak."""
    work = Work(0, messages // MESSAGES_PER_JOB, DEVICES)
    with database_of(kind) as database, broker() as port:
        fill(database, work.jobs, DEVICES)
        asyncio.run(leave(port, work, "svc_ingest"))
        done = drained(Asked(database.url, port, work.messages))
        difference = compare(database, (work,))
    return {
        "database": kind,
        "messages": work.messages,
        "grew_mb": round(done.grew_bytes / 1e6, 1),
        "settled_per_s": round(done.acknowledged / done.took_s),
        "lost": difference.lost,
        "duplicated": difference.duplicated,
    }


@contextmanager
def broker() -> Iterator[int]:
    """The port of a fresh Mosquitto that knows the dispensers and the services."""
    users = [*(device_name(number) for number in range(DEVICES)), "svc_ingest", CEILING_USER]
    with (
        tempfile.TemporaryDirectory(prefix="pitada-bench-") as directory,
        LocalMosquitto(Path(directory), dict.fromkeys(users, raw_mqtt.password_hash())) as running,
    ):
        yield running.port


async def leave(port: int, work: Work, *users: str) -> None:
    """Leave that work at the broker for those accounts, which are away."""
    for user in users:
        await subscribe_for_later(port, user)
    await raw_mqtt.preload(port, backlog(work))


def drained(asked: Asked) -> Drained:
    with ingesting(asked) as here:
        return result(here)


def ceiling_per_s(port: int, messages: int) -> float:
    """Messages a second into mosquitto_sub, which throws them away: the same backlog, nothing else running."""
    command = [need("mosquitto_sub"), "-h", "127.0.0.1", "-p", str(port), "-q", "1", "-c", "-C", str(messages)]
    command += ["-u", CEILING_USER, "-P", raw_mqtt.PASSWORD, "-i", CEILING_USER]
    for name in FILTERS:
        command += ["-t", name]
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=300)
    return messages / (time.perf_counter() - began)


async def _steady(port: int, work: Work) -> list[float]:
    """The fleet works at 1,000 messages a second; milliseconds from each completion to its receipt."""
    clients = await raw_mqtt.connect_all(port, [device_name(number) for number in range(DEVICES)])
    for client in clients.values():
        await client.hear_receipts()
    sent_at: dict[str, float] = {}
    began = time.perf_counter()
    for number, message in enumerate(backlog(work)):
        due = began + number / 1000
        # Ten at a time: shorter sleeps than 10 ms are not kept.
        if number % 10 == 0 and (wait_s := due - time.perf_counter()) > 0:
            await asyncio.sleep(wait_s)
        if message.topic.endswith("/completion"):
            sent_at[json.loads(message.payload)["job"]] = time.perf_counter()
        clients[message.topic.split("/")[2]].publish([message])
    async with asyncio.timeout(30):
        while sum(len(client.receipted) for client in clients.values()) < len(sent_at):
            await asyncio.sleep(0.05)
    for client in clients.values():
        client.close()
    received = {job: at for client in clients.values() for job, at in client.receipted.items()}
    return [(received[job] - at) * 1000 for job, at in sent_at.items()]
