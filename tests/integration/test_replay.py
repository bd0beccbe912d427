"""Every message of a recorded run, in random order and up to three times each, gives the same database."""

import asyncio
import contextlib
import random
import secrets
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from pitada.demo.options import DemoOptions
from pitada.demo.run import demo_house
from protocol import topics
from protocol.states import DEVICE, SERVER, item_rank, job_rank
from services import devices
from services.clock import now_ms
from services.ledger.audit import audit
from services.ledger.database import Database
from services.ledger.settle import Incoming, settle
from services.mqtt import Account, BrokerAddress, connected

RECORDER = "op_recorder"
SHUFFLES = 20

# Everything that facts decide. Left out: wall times and row numbers, which tell when the server learned something.
DECIDED = {
    "job": "SELECT job, state, rank, says, seq, epoch FROM job ORDER BY job",
    "job_item": (
        "SELECT job, item, state, rank, says, dispensed_mg, duration_ms, error FROM job_item ORDER BY job, item"
    ),
    "stock_movement": "SELECT device, flask, kind, delta_mg, job, item FROM stock_movement ORDER BY 1, 2, 3, 5, 6, 4",
    "flask": "SELECT device, flask, stock_mg, reserved_mg, revision FROM flask ORDER BY device, flask",
    "device": (
        "SELECT device, epoch, boot, connection, online, config_version, job, last_seq, receipted_seq, fault "
        "FROM device ORDER BY device"
    ),
    "dead_letter": "SELECT topic, reason, content_sha256 FROM dead_letter ORDER BY content_sha256",
}


async def record(broker: BrokerAddress, account: Account, into: list[Incoming]) -> None:
    async with connected(broker, account) as link:
        await link.subscribe([topics.ROOT + "/#"])
        while True:
            for message in await link.batch(100):
                _, channel, _ = topics.parse(message.topic)
                if channel.sender == "device":
                    into.append(Incoming(message.topic, message.payload))


def decided(database: Database) -> dict[str, list[Any]]:
    with database.read() as tx:
        return {name: [tuple(row) for row in tx.execute(text(query))] for name, query in DECIDED.items()}


def copy(source: Path, target: Path) -> Database:
    """A copy of an SQLite ledger as it is now, even while somebody writes it."""
    with contextlib.closing(sqlite3.connect(source)) as old, contextlib.closing(sqlite3.connect(target)) as new:
        old.backup(new)
    return Database(f"sqlite:///{target}")


def forget_facts(database: Database) -> None:
    """The ledger as if every offer had been made and no dispenser had ever said a word."""
    with database.write() as tx:
        for statement in (
            "UPDATE job SET state = 'offered', rank = 1, says = 'server', accepted_at_ms = NULL WHERE says = 'device'",
            "UPDATE job_item SET state = 'pending', rank = 0, says = 'server', dispensed_mg = NULL, "
            "duration_ms = NULL, error = NULL WHERE says = 'device'",
            "UPDATE flask SET stock_mg = stock_mg - coalesce((SELECT sum(delta_mg) FROM stock_movement m "
            "WHERE m.device = flask.device AND m.flask = flask.flask AND m.job IS NOT NULL), 0)",
            "DELETE FROM stock_movement WHERE job IS NOT NULL",
            "UPDATE flask SET revision = 0, reserved_mg = coalesce((SELECT sum(target_mg) FROM job_item i JOIN job j "
            "ON i.job = j.job WHERE j.device = flask.device AND i.flask = flask.flask AND i.rank < 2), 0)",
            "UPDATE device SET boot = 0, connection = 0, online = 0, status_ms = 0, job = NULL, last_seq = 0, "
            "receipted_seq = 0, config_version = 0, fault = NULL, refusal = NULL",
            "DELETE FROM flip",
            "DELETE FROM dead_letter",
        ):
            tx.execute(text(statement))


@pytest.mark.timeout(240)
async def test_every_message_in_any_order_up_to_three_times_gives_the_same_database(tmp_path: Path) -> None:
    assert item_rank("done", DEVICE) > item_rank("skipped", SERVER)
    assert job_rank("done", DEVICE) > job_rank("expired", SERVER)
    recorded: list[Incoming] = []
    options = DemoOptions(jobs=12, seed=7, broker="embedded", database="sqlite", http_port=0)
    async with demo_house(options) as demo:
        password = secrets.token_urlsafe(20)
        devices.ensure_service_account(demo.house.database, RECORDER, password, now_ms())
        recording = asyncio.create_task(record(demo.house.broker, Account(RECORDER, password), recorded))
        summary = await demo.order(12, options.seed, lambda _ordered, _ended: None)
        assert summary.clean, summary.problems
        recording.cancel()
        await asyncio.gather(recording, return_exceptions=True)
        path = demo.house.database.engine.url.database
        assert path is not None
        await asyncio.to_thread(lambda: copy(Path(path), tmp_path / "end.db").close())
    assert len(recorded) > 100

    live = Database(f"sqlite:///{tmp_path / 'end.db'}")
    expected_live = decided(live)
    live.close()

    base = copy(tmp_path / "end.db", tmp_path / "base.db")
    forget_facts(base)
    base.close()
    outcomes = [replay(tmp_path, number, recorded) for number in range(SHUFFLES)]
    assert all(outcome == outcomes[0] for outcome in outcomes)
    # And it is what the run itself came to, on everything that does not depend on what was said to nobody.
    for name in ("job", "job_item", "stock_movement"):
        assert outcomes[0][name] == expected_live[name], name
    assert [row[:4] for row in outcomes[0]["flask"]] == [row[:4] for row in expected_live["flask"]]


def replay(tmp_path: Path, number: int, recorded: list[Incoming]) -> dict[str, list[Any]]:
    rng = random.Random(number)
    messages = [message for message in recorded for _ in range(rng.randint(1, 3) if number else 1)]
    if number:
        rng.shuffle(messages)
    database = copy(tmp_path / "base.db", tmp_path / f"replay-{number}.db")
    try:
        while messages:
            batch = [messages.pop(0) for _ in range(min(len(messages), rng.randint(1, 60)))]
            with database.write() as tx:
                settle(tx, batch, 1_700_000_000_000)
        with database.read() as tx:
            assert audit(tx).problems == []
        return decided(database)
    finally:
        database.close()
