"""The statement of the Node-RED flow does what ingest does: the benchmark compares like with like."""

import json
import random
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url

from pitada.local.postgresql import LocalPostgresql
from services.ledger.audit import audit
from services.ledger.database import Database
from tests.benchmarks.node_red_process import PLACE
from tests.chaos.oracle import final_tables
from tests.chaos.workload import NOW_MS, Said, Workload, fill, make, tables_of

# As the flow's pool.
CONNECTIONS = 10

# In the order of the statement's parameters; the types are the server's to find.
EXECUTE = "EXECUTE settle (%s, %s, %s, %s, %s, %s, %s)"


@pytest.fixture(scope="module")
def work() -> Workload:
    """Few dispensers, so that statements meet."""
    return make(seed=7, jobs=40, dispensers=3)


@pytest.fixture(scope="module")
def database(work: Workload) -> Iterator[Database]:
    """Filled with that work, of which nothing is said yet."""
    with (
        tempfile.TemporaryDirectory(prefix="pitada-postgresql-", ignore_cleanup_errors=True) as directory,
        LocalPostgresql(Path(directory), fsync=False) as server,
    ):
        made = Database(server.url)
        made.migrate()
        fill(made, work)
        yield made
        made.close()


def test_every_message_in_any_order_three_times_on_ten_connections_ends_in_the_tables_of_ingest(
    database: Database, work: Workload
) -> None:
    said = [message for device in work.orders for message in work.messages_of(device)]
    shuffled = said * 3
    random.Random(7).shuffle(shuffled)
    answered = settle(database, shuffled)
    assert final_tables(work.all_orders, said, work.stock_mg).differences(tables_of(database)) == []
    assert answered == [1] * len(shuffled)
    with database.read() as tx:
        assert audit(tx).problems == []


def test_a_message_about_a_job_that_is_not_this_dispensers_changes_nothing_and_has_no_answer(
    database: Database, work: Workload
) -> None:
    (topic, payload), *_ = work.messages_of("d-000")
    before = tables_of(database)
    assert settle(database, [(topic.replace("d-000", "d-001"), payload)]) == [0]
    assert before.differences(tables_of(database)) == []


def settle(database: Database, said: Sequence[Said]) -> list[int]:
    """How many rows the statement gave back for each message."""
    parts = make_url(database.url).set(drivername="postgresql").render_as_string(hide_password=False)

    def part(number: int) -> list[int]:
        with psycopg.connect(parts, autocommit=True, cursor_factory=psycopg.ClientCursor) as connection:
            connection.execute(f"PREPARE settle AS {(PLACE / 'settle.sql').read_text()}".encode())
            mine = said[number::CONNECTIONS]
            return [connection.execute(EXECUTE, values(*message)).rowcount for message in mine]

    with ThreadPoolExecutor(CONNECTIONS) as threads:
        return [count for counts in threads.map(part, range(CONNECTIONS)) for count in counts]


def values(topic: str, payload: bytes) -> tuple[str | int | None, ...]:
    """As the flow's node `read` makes them."""
    fact = json.loads(payload)
    is_end = topic.endswith("/completion")
    items = json.dumps(fact["items"] if is_end else [fact])
    end = fact["state"] if is_end else None
    return topic.split("/")[2], fact["job"], fact["epoch"], fact["seq"], end, items, NOW_MS
