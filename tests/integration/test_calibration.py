"""A flask without a flow is calibrated on a running house, and then gives what is ordered."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from services import calibration, devices, orders
from services.clock import now_ms
from services.ids import new_id
from services.ledger import queries
from services.ledger.audit import audit
from services.ledger.database import Database
from services.ledger.views import DispenserView, JobView
from simulators.flask import FlaskSpec
from simulators.fleet import DispenserSpec, Fleet
from tests.integration.houses import running_house

FLOW_MG_PER_S = 12_345
STOCK_MG = 500_000


@pytest.mark.parametrize("broker", ["embedded", "mosquitto"])
async def test_the_weight_of_a_timed_opening_makes_the_next_order_exact(
    tmp_path: Path, broker: str, until: Callable[..., Any]
) -> None:
    async with running_house(tmp_path, broker) as running:
        house = running.house
        database, device = house.database, running.specs[0].device
        flow = devices.FlaskChange(1, flow_mg_per_s=0)
        await asyncio.to_thread(devices.configure, database, device, [flow])
        spec = DispenserSpec(device, running.specs[0].password, [FlaskSpec(1, STOCK_MG, FLOW_MG_PER_S)])
        async with Fleet([spec], house.broker.host, house.broker.port) as fleet:
            begun = await asyncio.to_thread(
                calibration.start, database, device, 1, open_ms=500, now_ms=now_ms(), job_id=new_id(), by="ana"
            )
            opened = await until(lambda: ended(database, begun.job))
            assert opened.items[0].state == "in_doubt"
            weighed_mg = fleet.left_mg(device, 1)
            found = await asyncio.to_thread(
                calibration.finish, database, begun.job, weighed_mg, now_ms=now_ms(), by="ana"
            )
            assert abs(found.flow_mg_per_s - FLOW_MG_PER_S) <= 1
            await until(lambda: seen(database, device).config_version >= 3)
            ordered = await asyncio.to_thread(order, database, device, 5_000)
            done = await until(lambda: ended(database, ordered.job))
            assert done.state == "done"
            left_mg = fleet.left_mg(device, 1)
        with database.read() as tx:
            (flask, *_rest) = [one for one in queries.stock(tx) if (one.device, one.flask) == (device, 1)]
            assert audit(tx).problems == []
            before_mg = sum(one.delta_mg for one in queries.movements(tx, device, 1) if one.delta_mg > 0)
    # The flow is a whole number: at 12,345 mg/s half of one is 0.2 mg in 5 g.
    assert abs(before_mg - flask.stock_mg - left_mg) <= 1


def ended(database: Database, job: str) -> JobView | None:
    with database.read() as tx:
        found = queries.job(tx, job)
    assert found is not None
    return found if found.ended_at_ms is not None else None


def seen(database: Database, device: str) -> DispenserView:
    with database.read() as tx:
        found = queries.dispenser(tx, device)
    assert found is not None
    return found


def order(database: Database, device: str, target_mg: int) -> JobView:
    items = [orders.OrderedItem(1, target_mg)]
    return orders.place(database, device=device, items=items, now_ms=now_ms(), job_id=new_id(), by="ana")
