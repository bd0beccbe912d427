"""What people do in a world, at bad moments. Where the database is away they try again, as people do."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from services.ledger import stock
from services.ledger.database import DatabaseUnavailable
from services.ledger.stock import StockRefused
from services.orders import OrderedItem, OrderRefused, cancel, place, retry
from tests.simulation import plan
from tests.simulation.plan import Action

if TYPE_CHECKING:
    from tests.simulation.world import World

BY = "ana"
_AGAIN_S = 1.0


class _NothingYet(Exception):
    """There is nothing to do it to, but while a job is open there may be."""


def act(world: World, action: Action) -> None:
    """Do it now, or as soon as the database answers and there is something to do it to."""
    try:
        done = _KINDS[action.kind](world, action)
    except (DatabaseUnavailable, _NothingYet):
        world.trying += 1
        world.loop.call_later(_AGAIN_S, _again, world, action)
    except (OrderRefused, StockRefused) as refused:
        world.trace.note("refused", type(refused).__name__)
    else:
        if done:
            world.struck(action.kind)


def _again(world: World, action: Action) -> None:
    world.trying -= 1
    act(world, action)


def _order(world: World, action: Action) -> bool:
    draw = iter(action.numbers)
    flasks = [flask.flask for flask in world.specs[action.device].flasks]
    items = [
        OrderedItem(flasks[int(next(draw) * len(flasks))], 100 + int(next(draw) ** 2 * 4000))
        for _ in range(1 + int(action.numbers[4] * 2))
    ]
    now_ms = world.wall_ms()
    expires = now_ms + 300 + int(6000 * action.numbers[3]) if action.numbers[5] < 0.25 else None
    name = f"job-{action.at}-{int(action.numbers[0] * 1e6)}"
    # Twice, as by a page that was sent again.
    for _ in range(2 if action.numbers[2] < 0.2 else 1):
        place(
            world.ledger,
            device=action.device,
            items=items,
            now_ms=now_ms,
            job_id=name,
            by=BY,
            expires_at_ms=expires,
            idempotency_key=name,
        )
    world.trace.note("ordered", name)
    return True


def _cancel(world: World, action: Action) -> bool:
    job = _any(world, action, "SELECT job FROM job ORDER BY job")
    if job is None:
        return False
    cancel(world.ledger, job, by=BY, now_ms=world.wall_ms())
    world.trace.note("cancelled", job)
    return True


def _retry(world: World, action: Action) -> bool:
    job = _any(world, action, "SELECT job FROM job WHERE rank >= 3 AND state != 'done' ORDER BY job")
    if job is None:
        return _later(world)
    name = f"retry-{action.at}-{int(action.numbers[0] * 1e6)}"
    retry(world.ledger, job, now_ms=world.wall_ms(), new_job_id=name, by=BY)
    world.trace.note("retried", job, name)
    return True


def _refill(world: World, action: Action) -> bool:
    with world.ledger.write() as tx:
        stock.refill(tx, action.device, 1, 1000, by=BY, now_ms=world.wall_ms())
    return True


def _count(world: World, action: Action) -> bool:
    counted_mg = int(action.numbers[0] * 2 * plan.STOCK_MG)
    with world.ledger.write() as tx:
        stock.count(tx, action.device, 1, counted_mg, by=BY, now_ms=world.wall_ms())
    return True


def _resolve(world: World, action: Action) -> bool:
    """They weigh what is in the bowl."""
    asked = "SELECT job, item FROM job_item WHERE state = 'in_doubt' AND resolution IS NULL ORDER BY job, item"
    found = world.ledger.rows(asked)
    if not found:
        return _later(world)
    job, item = found[int(action.numbers[0] * len(found))]
    weighed_mg = sum(opening.mg for opening in world.dispensers.truth.of_item(job, item))
    with world.ledger.write() as tx:
        stock.resolve(tx, job, item, outcome="weighed", weighed_mg=weighed_mg, by=BY, now_ms=world.wall_ms())
    world.trace.note("resolved", job, item, weighed_mg)
    return True


def _stop_button(world: World, action: Action) -> bool:
    board = world.dispensers.boards[action.device]
    board.press_stop()
    return board.core is not None


def _later(world: World) -> bool:
    if world.ledger.rows("SELECT 1 FROM job WHERE rank < 3"):
        raise _NothingYet
    return False


def _any(world: World, action: Action, query: str) -> str | None:
    found = world.ledger.rows(query)
    return str(found[int(action.numbers[1] * len(found))][0]) if found else None


_KINDS: dict[str, Callable[[World, Action], bool]] = {
    plan.ORDER: _order,
    plan.CANCEL: _cancel,
    plan.RETRY: _retry,
    plan.REFILL: _refill,
    plan.COUNT: _count,
    plan.RESOLVE: _resolve,
    plan.STOP_BUTTON: _stop_button,
}
