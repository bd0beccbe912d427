"""Whatever a dispenser sends, through a real broker: kept with its reason, acknowledged, and in nobody's way."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from protocol import codec, messages, topics
from services import orders
from services.clock import now_ms
from services.ids import new_id
from services.ledger import queries
from services.mqtt import BrokerAddress, Outgoing, connected
from services.orders import OrderedItem
from tests.integration.houses import running_house


def progress(job: str) -> bytes:
    return codec.encode(
        messages.ItemProgressed(
            job=job,
            seq=1,
            item=0,
            state="done",
            target_mg=1_000,
            dispensed_mg=1_000,
            duration_ms=50,
            error=None,
            epoch="deadbeef",
            boot=1,
            ms=5,
        )
    )


@pytest.mark.parametrize("broker", ["mosquitto", "embedded"])
async def test_every_kind_of_bad_message_is_kept_with_its_reason_and_delays_nothing(
    tmp_path: Path, broker: str, until: Callable[..., Any]
) -> None:
    async with running_house(tmp_path / "data", broker) as house:
        database = house.house.database
        items = [OrderedItem(1, 1_000)]
        others = orders.place(database, device="bakery", items=items, now_ms=now_ms(), job_id=new_id(), by="test")
        topic = topics.PROGRESS.topic("bar", 1)
        bad = {
            "malformed JSON": b'{"job":',
            "wrong types": b'{"job":7,"seq":"one"}',
            "5 KiB": b"x" * 5 * 1024,
            "an unknown job": progress("no-such-job"),
            "another dispenser's job": progress(others.job),
        }
        status = codec.encode(
            messages.StatusReported(
                online=True,
                epoch="deadbeef",
                boot=1,
                connection=1,
                ms=5,
                firmware="1.0",
                reset_cause="power_on",
                config_version=0,
                job=None,
                last_seq=0,
                receipted_seq=0,
                fault=None,
            )
        )
        address: BrokerAddress = house.house.broker
        async with connected(address, house.account("bar")) as dispenser:
            # One at a time, so that their order at the broker is certain; each returns when the broker has it.
            for payload in bad.values():
                await dispenser.publish([Outgoing(topic, payload, 1, retained=False)])
            await dispenser.publish([Outgoing(topics.STATUS.topic("bar"), status, 1, retained=True)])

            def settled() -> bool:
                """The message behind them has reached the ledger."""
                with database.read() as tx:
                    found = queries.dispenser(tx, "bar")
                return found is not None and found.epoch == "deadbeef"

            await until(settled)
        with database.read() as tx:
            letters = queries.dead_letters(tx)
            job = queries.job(tx, others.job)
    assert len(letters) == len(bad)
    assert all(letter.topic == topic and letter.reason for letter in letters)
    assert {letter.reason for letter in letters} >= {"malformed", "unknown_job", "other_device"}
    assert job is not None
    assert job.items[0].state == "pending"
