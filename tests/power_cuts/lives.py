"""A dispenser's lives between power cuts: what outlives a cut is a `World`, and from any world a life can begin."""

from dataclasses import dataclass, replace

from firmware.core.ports import OpenFlask, Port, Save, Woke
from protocol.messages import ItemProgressed, JobCompleted
from tests.firmware.bench import Bench, Opening
from tests.power_cuts.shapes import Ending, Shape, flask_config

# The server's repeat of an offer, as `services.ledger.outbox` has it.
_LOOK_EVERY_MS = 2000

# The longest job here takes 12 s; a boot, a connect and a repeated report come on top.
_LOOKS = 60


@dataclass(frozen=True)
class World:
    """What there is while the dispenser has no power. `begun`: the server was told that some item began."""

    flash: dict[str, bytes]
    retained: dict[str, bytes]
    openings: tuple[Opening, ...] = ()
    reports: tuple[JobCompleted, ...] = ()
    begun: bool = False

    def holding(self, slot: str, content: bytes) -> "World":
        return replace(self, flash={**self.flash, slot: content})


@dataclass(frozen=True)
class Operation:
    """A flash write that was asked for, and the world just before it."""

    world: World
    slot: str
    content: bytes


@dataclass(frozen=True)
class Life:
    """From a boot to the end of the job. `open_worlds`: what a cut in the middle of each opening leaves."""

    operations: tuple[Operation, ...]
    open_worlds: tuple[World, ...]
    ending: Ending


def first_world(shape: Shape) -> World:
    """A dispenser that is configured and has done nothing."""
    bench = Bench()
    bench.configure(*[flask_config(flask) for flask, _mg in shape])
    bench.boot()
    bench.online()
    bench.run(lambda: bench.status().config_version == 1)
    bench.cut_power()
    return World(dict(bench.flash), dict(bench.broker.retained))


def first_orders(world: World) -> str | None:
    """What the boot orders; None when it does not get that far.

    Two worlds with the same rest and the same orders go on alike: a dispenser's memory after a boot is what it read,
    and all of that is in the state that it orders to be saved.
    """
    bench = _bench(world)
    try:
        bench.boot("brownout")
    except Exception:  # whatever it is, the dispenser does not come up
        return None
    return repr([order for order in bench.orders if isinstance(order, Save)])


def live(shape: Shape, world: World) -> Life:
    """Let the dispenser live until its job is receipted."""
    operations: list[Operation] = []
    open_worlds: list[World] = []
    bench = _bench(world)

    def before(order: Port) -> None:
        if isinstance(order, Save):
            operations.append(Operation(_left(bench, world), order.slot, order.data))

    def after(order: Port) -> None:
        if isinstance(order, OpenFlask):
            # Half of it has flowed when power goes.
            left = _left(bench, world)
            half = Opening(order.flask, order.open_ms // 2, bench.now_ms)
            open_worlds.append(replace(left, openings=(*left.openings[:-1], half)))

    bench.before_order, bench.after_order = before, after
    problem = ""
    try:
        bench.boot("brownout")
        _serve(bench, shape, world)
    except Exception as error:  # whatever it is, this boot did not end the job
        problem = f"{type(error).__name__}: {error}"
    left = _left(bench, world)
    ending = Ending([(one.flask, one.open_ms) for one in left.openings], left.reports, problem)
    return Life(tuple(operations), tuple(open_worlds), ending)


def _serve(bench: Bench, shape: Shape, world: World) -> None:
    """Be the server until the report is receipted: offer the job while the dispenser neither has it nor began it."""
    bench.online()

    def is_over() -> bool:
        return bench.status().receipted_seq == 1 and bool(_left(bench, world).reports)

    for _look in range(_LOOKS):
        if is_over():
            return
        if bench.status().job is None and not _left(bench, world).begun:
            bench.offer(1, *shape)
        look_at_ms = bench.now_ms + _LOOK_EVERY_MS
        bench.post(Woke(), _LOOK_EVERY_MS)
        bench.run(lambda at_ms=look_at_ms: bench.now_ms >= at_ms or is_over())  # type: ignore[misc]  # binds now
    raise AssertionError(f"the job did not end in {bench.now_ms} ms")


def _bench(world: World) -> Bench:
    bench = Bench()
    bench.flash = dict(world.flash)
    bench.broker.retained = dict(world.retained)
    bench.openings = [_copy(one) for one in world.openings]
    return bench


def _left(bench: Bench, before: World) -> World:
    """What a cut now would leave. The broker publishes the last will."""
    retained = dict(bench.broker.retained)
    if bench.broker.will is not None:
        topic, payload = bench.broker.will
        retained[topic] = payload
    told = [one.record for one in bench.broker.sent]
    return World(
        dict(bench.flash),
        retained,
        tuple(_copy(one) for one in bench.openings),
        before.reports + tuple(one for one in told if isinstance(one, JobCompleted)),
        before.begun or any(isinstance(one, ItemProgressed) for one in told),
    )


def _copy(one: Opening) -> Opening:
    return Opening(one.flask, one.open_ms, one.at_ms)
