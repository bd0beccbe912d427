"""The product in a seeded world: its own cores, ingest, dispatch, orders and ledger; all around them is simulated."""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from protocol import topics
from services.dispatch import Dispatch
from services.ingest import Ingest
from services.mqtt import Delivery, Outgoing
from simulators import events
from simulators.events import Event
from simulators.world.broker import Broker
from simulators.world.connections import accepting
from simulators.world.dispensers import Dispensers
from simulators.world.loop import VirtualLoop
from simulators.world.network import Network
from simulators.world.trace import Trace
from tests.simulation import breaking, checkers, people, plan
from tests.simulation.breaking import DASHBOARD, DISPATCH, INGEST
from tests.simulation.database import MemoryLedger
from tests.simulation.plan import Plan
from tests.simulation.processes import Process, connected, worker
from tests.simulation.screen import Screen, watch

# Wall time when a world begins.
_BEGAN_MS = 1_800_000_000_000

# The services look less often than in a house: nothing depends on how soon, and each look costs as much.
_DISPATCH_LOOKS_S = 1.6
_INGEST_LOOKS_S = 5.0

# The share of the worlds in which somebody has the board on a screen: it reads the ledger whenever something happens.
_WATCHED = 0.05

# When nothing has been written for so long, the next action waits no longer for its note.
_SILENT_MS = 2000
_HURRY_S = 0.4
# After the last action, before everything is mended.
_BROKEN_S = 0.8

# A silent half-open stream, a back-off, a repeat of a report and twelve requests after a restore can follow each other.
_SETTLES_WITHIN_S = 400.0
_LOOK_S = 1.0
# Then nothing may happen any more that counts.
_AFTERGLOW_S = 0.5


class World:
    """One run of one plan. `run` returns what is wrong: nothing, for a product without a defect."""

    def __init__(self, drawn: Plan, ledger: MemoryLedger) -> None:
        self.plan = drawn
        self.specs = {spec.device: spec for spec in drawn.specs}
        self.ledger = ledger
        self.faults: Counter[str] = Counter()
        self.restores = 0
        self.trying = 0  # people who met a database that was away
        self.wrong: list[str] = []
        self.is_healed = False
        self.at_opening: dict[str, Callable[[], object]] = {}  # what waits for a dispenser's next opening
        self.loop = VirtualLoop(self._raised)  # type: ignore[abstract]  # of a loop, what asyncio itself needs
        self.trace = Trace(lambda: self.loop.now_ms)
        self.broker = Broker(self.loop, self.rng("broker"), self.trace)
        network = Network(self.loop, self.rng("network"), accepting(self.broker, self.loop, self.trace))
        self.loop.open_stream = network.open_stream
        self.loop.work = worker(self.loop, self.rng("work"))
        self.dispensers: Dispensers
        self.processes = {
            INGEST: self._ingest(),
            DISPATCH: self._dispatch(),
        }
        self.screen = Screen() if self.rng("screen").random() < _WATCHED else None
        if self.screen is not None:
            self.processes[DASHBOARD] = self._dashboard(self.screen)
        self.judge = checkers.Judge(self)
        ledger.reset(_kitchen(drawn))
        ledger.on_fault = self.struck
        self._waiting = dict(enumerate(drawn.actions))
        self._looked_s = 0.0

    def rng(self, name: str) -> random.Random:
        """Chance of its own for each part, so that one draws what it draws whatever the others do."""
        return random.Random(f"{self.plan.seed}/{name}")

    def wall_ms(self) -> int:
        """Wall time."""
        return _BEGAN_MS + self.loop.now_ms

    def struck(self, kind: str) -> None:
        """Something of the plan happened."""
        self.faults[kind] += 1
        self.trace.note("struck", kind)

    def run(self) -> list[str]:
        """Let everything happen, then let it settle, and judge."""
        self.loop.call_soon(self._begin)
        self.loop.run(lambda: not self._waiting, _SETTLES_WITHIN_S)
        self.loop.run(lambda: bool(self.wrong), self.loop.time() + _BROKEN_S)
        if not self.wrong:
            self.loop.call_soon(self._heal)
            began_s = self.loop.time()
            self.loop.run(lambda: self.is_healed, began_s)
            self.wrong += self._settle(began_s + _SETTLES_WITHIN_S)
        if not self.wrong:
            self.faults["torn_save"] += sum(flash.torn for flash in self.dispensers.flash.values())
            self.wrong += checkers.judge(self)
        self._end()
        return self.wrong

    def _end(self) -> None:
        """Nothing of this world is left to run in the next one."""
        for process in self.processes.values():
            process.kill()
        self.loop.run(lambda: False, self.loop.time())

    def _begin(self) -> None:
        self.dispensers = Dispensers(self.plan.specs, self.rng, self._told)
        for process in self.processes.values():
            process.start()
        self.dispensers.boot()
        for number, action in enumerate(self.plan.actions):
            self.trace.at(action.at, partial(self._soon, number))
        self._hurry()

    def _soon(self, number: int) -> None:
        """Its note is written: do it a little later."""
        self.loop.call_later(self.plan.actions[number].wait_ms / 1000, self._do, number)

    def _hurry(self) -> None:
        """Where nothing happens, nothing would happen any more."""
        if self._waiting:
            if self.trace.silent_ms >= _SILENT_MS:
                self._do(min(self._waiting))
            self.loop.call_later(_HURRY_S, self._hurry)

    def _do(self, number: int) -> None:
        action = self._waiting.pop(number, None)
        if action is None:
            return
        if action.kind in breaking.KINDS:
            breaking.strike(self, action)
        else:
            people.act(self, action)

    def _heal(self) -> None:
        """Nothing is broken from now on."""
        self.trace.note("healed")
        self.is_healed = True
        self.at_opening.clear()
        self.ledger.is_away = self.ledger.doubt_next = False
        self.ledger.mend()
        self.broker.start()
        for process in self.processes.values():
            process.start()
        for board in self.dispensers.boards.values():
            board.hardware.flash.full = False

    def _settle(self, until_s: float) -> list[str]:
        """Runs until nothing is left to come, and nothing new has come of what was still on its way then: an offer,
        or stock that was read before. Returns what is still to come at `until_s`, or came after each rest until then.
        """
        left: list[str] = []
        while self.loop.run(self._is_settled, until_s):
            self.loop.run(lambda: bool(self.wrong), self.loop.time() + _AFTERGLOW_S)
            left = checkers.unsettled(self)
            if self.wrong or not left:
                return []
        return checkers.unsettled(self) or left

    def _is_settled(self) -> bool:
        if self.wrong:
            return True
        if self.loop.time() < self._looked_s + _LOOK_S:
            return False
        self._looked_s = self.loop.time()
        return not checkers.unsettled(self)

    def _told(self, event: Event) -> None:
        self.trace.note(event.kind, event.device, event.text)
        if event.kind == events.OPENED and (waiting := self.at_opening.pop(event.device, None)) is not None:
            waiting()
        if event.kind == events.FAULT:
            self.faults[event.text] += 1
        elif event.kind == events.CRASHED:
            self.wrong.append(f"the core of {event.device} raised {event.text}")

    def _raised(self, context: dict[str, Any]) -> None:
        self.wrong.append(f"{context.get('message')}: {context.get('exception')!r}")

    def _ingest(self) -> Process:
        rng = self.rng("link/ingest")

        def connect() -> Any:
            return connected(
                self.broker,
                self.loop,
                rng,
                name=INGEST,
                lasting=True,
                on_publish=self._to_publish,
                on_ack=self._to_ack,
            )

        return Process(
            self.loop, INGEST, lambda: Ingest(self.ledger, connect, self.wall_ms, look_every_s=_INGEST_LOOKS_S).run()
        )

    def _dispatch(self) -> Process:
        rng = self.rng("link/dispatch")

        def connect() -> Any:
            return connected(self.broker, self.loop, rng, name=DISPATCH, lasting=False)

        return Process(
            self.loop,
            DISPATCH,
            lambda: Dispatch(self.ledger, connect, self.wall_ms, look_every_s=_DISPATCH_LOOKS_S).run(),
        )

    def _dashboard(self, screen: Screen) -> Process:
        rng = self.rng("link/dashboard")

        def connect() -> Any:
            return connected(self.broker, self.loop, rng, name=DASHBOARD, lasting=False)

        return Process(self.loop, DASHBOARD, lambda: watch(self.ledger, connect, self.wall_ms, screen))

    def _to_publish(self, one: Outgoing) -> None:
        _, channel, _ = topics.parse(one.topic)
        if channel is topics.RECEIPT:
            self.wrong += self.judge.receipt(one.payload)

    def _to_ack(self, batch: Sequence[Delivery]) -> None:
        self.wrong += self.judge.acked(batch)


def simulate(drawn: Plan, ledger: MemoryLedger, watch: Callable[[World], None] = lambda _world: None) -> World:
    """Run a plan to its end; `wrong`, `faults` and `trace` of the world tell how it went."""
    world = World(drawn, ledger)
    watch(world)
    world.run()
    return world


def _kitchen(drawn: Plan) -> tuple[tuple[str, tuple[tuple[int, int, int], ...]], ...]:
    return tuple(
        (spec.device, tuple((one.flask, plan.STOCK_MG, one.flow_mg_per_s) for one in spec.flasks))
        for spec in drawn.specs
    )
