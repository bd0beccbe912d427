"""What the broker keeps after a run, by Mosquitto's own client: an operator sees all of it, a dispenser its own."""

import asyncio
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pitada.demo.kitchen import KITCHEN
from protocol import codec, messages, topics
from protocol.states import JOB_ENDS
from services import orders
from services.clock import now_ms
from services.ids import new_id
from services.ledger import queries
from services.mqtt import Account
from services.orders import OrderedItem
from simulators.fleet import Fleet
from tests.integration.houses import TestHouse, running_house
from tests.programs import need

# Long enough for every retained message on loopback; the tool then ends by itself.
LISTEN_S = "2"


async def sub(program: str, house: TestHouse, account: Account, topic: str) -> list[tuple[str, int, int, bytes]]:
    """(topic, QoS, retained, payload) of every retained message that the account is given for the filter."""
    broker = house.house.broker
    ended = await asyncio.to_thread(
        subprocess.run,
        [program, "-h", broker.host, "-p", str(broker.port), "-u", account.user, "-P", account.password, "-i", "x",
         "-q", "1", "-t", topic, "--retained-only", "-W", LISTEN_S, "-F", "%t %q %r %p"],
        capture_output=True, check=False, timeout=20,
    )  # fmt: skip
    assert ended.returncode in (0, 27), ended.stderr  # 27: the time was up, as asked
    found = []
    for line in ended.stdout.splitlines():
        name, qos, retained, payload = line.split(b" ", 3)
        found.append((name.decode(), int(qos), int(retained), payload))
    return found


@pytest.mark.parametrize("broker", ["mosquitto", "embedded"])
async def test_one_retained_progress_a_flask_and_one_completion_a_dispenser_for_those_who_may_see_them(
    tmp_path: Path, broker: str, until: Callable[..., Any]
) -> None:
    program = need("mosquitto_sub")
    async with running_house(tmp_path / "data", broker) as house:
        database = house.house.database
        async with Fleet(house.specs, house.house.broker.host, house.house.broker.port):
            for device, dispenser in KITCHEN.items():
                items = [OrderedItem(flask, 1_000) for flask in dispenser.calibrated()]
                for _ in range(2):
                    orders.place(database, device=device, items=items, now_ms=now_ms(), job_id=new_id(), by="test")

            def ended() -> bool:
                with database.read() as tx:
                    counts = queries.job_counts(tx)
                    receipted = all(one.job is None for one in queries.dispensers(tx))
                return receipted and sum(counts[state] for state in JOB_ENDS) == 2 * len(KITCHEN)

            await until(ended)
            progress = await sub(program, house, house.operator, topics.PROGRESS.filter())
            completions = await sub(program, house, house.operator, topics.COMPLETION.filter())
            everything = await sub(program, house, house.account("bar"), "pitada/v1/#")
            neighbour = await sub(program, house, house.account("bar"), topics.PROGRESS.filter("bakery"))
            commands = await sub(program, house, house.operator, topics.OFFER.filter())

    expected = {topics.PROGRESS.topic(device, flask) for device, one in KITCHEN.items() for flask in one.calibrated()}
    assert {(name, qos, retained) for name, qos, retained, _ in progress} == {(name, 1, 1) for name in expected}
    assert len(progress) == len(expected)
    assert [(qos, retained) for _, qos, retained, _ in completions] == [(1, 1)] * len(KITCHEN)
    assert {name for name, *_ in completions} == {topics.COMPLETION.topic(device) for device in KITCHEN}
    for _, _, _, payload in completions:
        assert codec.decode(messages.JobCompleted, payload).state == "done"
    # Mosquitto grants the wide filter and then filters what it delivers; the embedded broker refuses it.
    assert all(name.startswith("pitada/v1/bar/") for name, *_ in everything)
    assert neighbour == []
    assert commands == []
