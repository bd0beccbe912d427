"""Every released revision comes up to today's with its rows, on both databases. The rows are written by SQL, not by
today's code: a released database does not change when the code does."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from protocol import codec, topics
from protocol.messages import ItemReport, JobCompleted, OfferJob, StatusReported
from services.ledger import outbox, queries, revisions
from services.ledger.audit import audit
from services.ledger.database import Database, NewerDatabase
from services.ledger.settle import Incoming, settle
from services.orders import OrderedItem, place

NOW_MS = 1_800_000_000_000

DEVICE = """INSERT INTO device (device, name, claimed_at_ms, claimed_by, epoch, boot, connection, status_ms, online,
 firmware, reset_cause, config_version, job, last_seq, receipted_seq, fault, seen_at_ms, refusal, next_seq,
 desired_config_version) VALUES ('{0}', 'The {0}', 1, 'ana', {1}, 3, 2, 900, {2}, '1.0', 'power_on', 1, NULL, {3}, {3},
 NULL, 5, NULL, {3} + 1, 1)"""
FLASK = """INSERT INTO flask (device, flask, ingredient, capacity_mg, stock_mg, reserved_mg, revision, low_mg,
 flow_mg_per_s, max_open_ms, channel, closed_us, open_us, settle_ms)
 VALUES ('{}', {}, '{}', 9000000000, {}, {}, {}, 10, 1000, 60000, {}, 1000, 2000, 0)"""
JOB = """INSERT INTO job (job, device, state, rank, says, seq, epoch, placed_at_ms, placed_by, retry_of)
 VALUES ('{}', 'kitchen', '{}', {}, '{}', {}, {}, {}, 'ana', {})"""
ITEM = """INSERT INTO job_item (job, item, flask, target_mg, state, rank, says, dispensed_mg, duration_ms, error,
 resolution, resolved_mg, resolved_by, resolved_at_ms, origin_job, origin_item)
 VALUES ('{}', {}, {}, {}, '{}', {}, '{}', {}, {}, {}, {}, {}, {}, {}, {}, {})"""
MOVE = """INSERT INTO stock_movement (device, flask, kind, delta_mg, job, item, at_ms, "by", note)
 VALUES ('kitchen', {}, '{}', {}, {}, {}, 7, {}, '')"""
FLIP = """INSERT INTO flip (job, item, rank, to_state, from_state, says, reason, at_ms)
 VALUES ('{}', {}, {}, '{}', {}, '{}', 'it was so', 7)"""

_UNRESOLVED = ("NULL",) * 4
_FIRST = ("NULL", "NULL")

# A job that ended in every way, one that was retried, one offered, one queued; every kind of movement.
REVISION_0001 = (
    DEVICE.format("kitchen", "'aaaaaaaa'", "true", 4),
    DEVICE.format("cellar", "NULL", "false", 0),
    "INSERT INTO device_epoch (device, epoch, first_seen_at_ms) VALUES ('kitchen', 'aaaaaaaa', 2)",
    FLASK.format("kitchen", 1, "Sea salt", 4_999_999_000, 300, 9, 0),
    FLASK.format("kitchen", 2, "Crème brûlée", -50, 0, 4, 1),
    FLASK.format("cellar", 1, "Sugar", 0, 0, 0, 0),
    JOB.format("j1", "done_partial", 4, "device", 1, "'aaaaaaaa'", 10, "NULL"),
    JOB.format("j2", "failed", 4, "device", 2, "'aaaaaaaa'", 11, "NULL"),
    JOB.format("j3", "expired", 3, "server", 3, "'aaaaaaaa'", 12, "NULL"),
    JOB.format("j4", "offered", 1, "server", 4, "'aaaaaaaa'", 13, "'j1'"),
    JOB.format("j5", "queued", 0, "server", "NULL", "NULL", 14, "NULL"),
    ITEM.format("j1", 0, 1, 1000, "done", 3, "device", 1000, 100, "NULL", *_UNRESOLVED, *_FIRST),
    ITEM.format("j1", 1, 2, 100, "failed", 3, "device", 0, 0, "'jammed'", *_UNRESOLVED, *_FIRST),
    ITEM.format(
        "j2", 0, 2, 60, "in_doubt", 3, "device", "NULL", "NULL", "'interrupted'", "'weighed'", 50, "'bia'", 8, *_FIRST
    ),
    ITEM.format("j2", 1, 2, 60, "in_doubt", 3, "device", "NULL", "NULL", "'interrupted'", *_UNRESOLVED, *_FIRST),
    ITEM.format("j3", 0, 1, 10, "skipped", 2, "server", "NULL", "NULL", "NULL", *_UNRESOLVED, *_FIRST),
    ITEM.format("j4", 0, 1, 100, "pending", 0, "server", "NULL", "NULL", "NULL", *_UNRESOLVED, "'j1'", 1),
    ITEM.format("j5", 0, 1, 200, "pending", 0, "server", "NULL", "NULL", "NULL", *_UNRESOLVED, *_FIRST),
    MOVE.format(1, "refill", 5_000_000_000, "NULL", "NULL", "'ana'"),
    MOVE.format(1, "dispense", -1000, "'j1'", 0, "NULL"),
    MOVE.format(2, "refill", 10, "NULL", "NULL", "'ana'"),
    MOVE.format(2, "count", -10, "NULL", "NULL", "'ana'"),
    MOVE.format(2, "resolve", -50, "'j2'", 0, "'bia'"),
    FLIP.format("j1", -1, 0, "queued", "NULL", "server"),
    FLIP.format("j1", -1, 4, "done_partial", "'queued'", "device"),
    "INSERT INTO dead_letter (at_ms, last_at_ms, times, topic, reason, detail, payload, size_bytes, content_sha256)"
    " VALUES (1, 2, 3, 'a/b', 'bad_topic', 'no', 'xyz', 3, 'abc')",
    "INSERT INTO counter (name, value) VALUES ('dead_letters_dropped', 5000000000)",
    """INSERT INTO account ("user", role, hash, created_at_ms) VALUES ('kitchen', 'device', '$7$x', 1)""",
    """INSERT INTO sign_in_link (token_sha256, "user", created_at_ms, expires_at_ms) VALUES ('t', 'ana', 1, 2)""",
    """INSERT INTO web_session (token_sha256, "user", created_at_ms, expires_at_ms) VALUES ('s', 'ana', 1, 2)""",
    """INSERT INTO idempotency_key ("by", key, request_sha256, job, at_ms) VALUES ('ana', 'k', 'r', 'j1', 1)""",
)

TABLES = (
    *("account", "counter", "dead_letter", "device", "device_epoch", "flask", "flip", "idempotency_key", "job"),
    *("job_item", "sign_in_link", "stock_movement", "web_session"),
)

# A new revision adds its own database here as soon as it is released.
RELEASED = {"0001": REVISION_0001}


def migrations(tx: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(revisions.__file__).with_name("migrations")))
    config.attributes["connection"] = tx
    return config


@pytest.fixture(params=sorted(RELEASED))
def released(request: pytest.FixtureRequest, empty_url: str) -> Iterator[Database]:
    """A database as that revision left it."""
    database = Database(empty_url)
    with database.write() as tx:
        command.upgrade(migrations(tx), request.param)
    with database.write() as tx:
        for statement in RELEASED[request.param]:
            # Payloads are bytes in both.
            binary = "CAST('xyz' AS bytea)" if database.dialect == "postgresql" else "CAST('xyz' AS blob)"
            tx.execute(text(statement.replace("'xyz'", binary)))
    yield database
    database.close()


def content(database: Database) -> dict[str, list[dict[str, Any]]]:
    """Every row of every table that the first revision had."""
    found = {}
    with database.read() as tx:
        for name in TABLES:
            rows = tx.execute(text(f'SELECT * FROM "{name}"')).mappings()  # noqa: S608  # names from the test only
            found[name] = sorted((dict(row) for row in rows), key=lambda row: str(sorted(row.items(), key=str)))
    return found


def test_every_row_comes_through_as_it_was(released: Database) -> None:
    before = content(released)
    released.migrate()
    after = content(released)
    for table, rows in before.items():
        kept = [{name: row[name] for name in rows[0]} for row in after[table]]
        assert sorted(kept, key=str) == sorted(rows, key=str), table
    with released.read() as tx:
        found = audit(tx)
        assert (found.problems, found.movements, found.items_done, found.in_doubt) == ([], 5, 1, 1)


def test_the_work_goes_on_where_it_was(released: Database) -> None:
    released.migrate()
    with released.read() as tx:
        (kitchen,) = [one for one in queries.dispensers(tx) if one.device == "kitchen"]
        assert [flask.ingredient for flask in kitchen.flasks] == ["Sea salt", "Crème brûlée"]
        views = {job.job: job for job in queries.jobs(tx)}
    assert {name: view.state for name, view in views.items()} == {
        "j1": "done_partial", "j2": "failed", "j3": "expired", "j4": "offered", "j5": "queued",
    }  # fmt: skip
    place(released, device="kitchen", items=[OrderedItem(1, 50)], now_ms=NOW_MS, job_id="j6", by="bia")
    report = ItemReport(
        item=0, flask=1, state="done", target_mg=100, dispensed_mg=100, duration_ms=9, error=None
    )  # fmt: skip
    done = JobCompleted(job="j4", seq=4, state="done", items=(report,), epoch="aaaaaaaa", boot=3, ms=950)
    status = StatusReported(
        online=True, epoch="aaaaaaaa", boot=3, connection=3, ms=960, firmware="1.0", reset_cause="power_on",
        config_version=1, job=None, last_seq=4, receipted_seq=4, fault=None,
    )  # fmt: skip
    said = [(topics.COMPLETION, done), (topics.STATUS, status)]
    with released.write() as tx:
        settle(tx, [Incoming(channel.topic("kitchen"), codec.encode(one)) for channel, one in said], NOW_MS)
    with released.write() as tx:
        offers = [one.message for one in outbox.due(tx, NOW_MS) if isinstance(one.message, OfferJob)]
    assert [(offer.job, offer.seq) for offer in offers] == [("j5", 5)]
    with released.read() as tx:
        assert audit(tx).problems == []


def test_a_database_of_a_newer_version_is_refused_and_left_alone(released: Database) -> None:
    released.migrate()
    with released.write() as tx:
        tx.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    before = content(released)
    with pytest.raises(NewerDatabase, match=r"newer version of Pitada.*update Pitada"):
        released.migrate()
    assert content(released) == before


def test_there_is_no_way_down_and_it_says_what_to_do(released: Database) -> None:
    released.migrate()
    with pytest.raises(RuntimeError, match="restore the backup"), released.write() as tx:
        command.downgrade(migrations(tx), "-1")
    with released.read() as tx:
        assert audit(tx).problems == []


def test_every_released_revision_is_one_that_is_known() -> None:
    assert set(RELEASED) <= revisions.KNOWN


def test_the_names_of_the_files_say_what_alembic_reads_in_them() -> None:
    scripts = ScriptDirectory.from_config(migrations())
    assert {script.revision for script in scripts.walk_revisions()} == revisions.KNOWN
    assert scripts.get_heads() == [revisions.HEAD]
