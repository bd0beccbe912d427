"""Defects that the checkers must see: each takes one promise away, at one point, and leaves the rest as it is.

A bug is a patch of the product's own code. `tests/simulation/test_bugs.py` shows that each is caught within `WITHIN`
schedules, and `make simulate ARGS="--bugs"` writes the table of them in the docs.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, NamedTuple
from unittest.mock import patch

from firmware.core.commands import Commands
from firmware.core.dispenser import Dispenser
from firmware.core.history import History
from firmware.core.job import Item
from firmware.core.journal import Journal
from firmware.core.outbox import Outbox
from firmware.core.runner import Runner
from firmware.core.session import Session
from protocol import codec, topics
from protocol.messages import CompletionReceived, JobCompleted
from protocol.states import DEVICE, item_rank
from services.ingest import ahead as ahead_module
from services.ingest import ingest as ingest_module
from services.ingest.ahead import Ahead
from services.ingest.ingest import Ingest
from services.ingest.settling import settle_batch
from services.ledger import held, outbox, restored, settle_writes
from services.ledger.database import DatabaseUnavailable
from services.ledger.facts import Fact
from services.ledger.held import ITEM_ENDED, ITEM_SETTLED, HeldItem, HeldJob
from services.ledger.presence import HeldDevice
from services.ledger.settle import Settled, _Batch
from services.mqtt import Outgoing
from services.orders import retrying

# A bug that is not seen in so many schedules counts as not seen.
WITHIN = 5000

Patch = AbstractContextManager[Any]


class Bug(NamedTuple):
    """What is wrong with the product while it is `patched`."""

    where: str
    what: str
    patched: Callable[[], Patch]


BUGS: dict[str, Bug] = {}


def _bug(where: str, what: str) -> Callable[[Callable[[], Patch]], Callable[[], Patch]]:
    def register(make: Callable[[], Patch]) -> Callable[[], Patch]:
        BUGS[make.__name__] = Bug(where, what, make)
        return make

    return register


def _instead(owner: Any, name: str, new: Any) -> Patch:
    return patch.object(owner, name, new)


def _nothing(*_: Any, **__: Any) -> None:
    return None


# Ingest.


@_bug("ingest", "the receipt goes out before the commit")
def receipt_before_commit() -> Patch:
    async def settle_batches(self: Ingest, source: Any, ahead: Any, tasks: Any) -> None:
        del tasks
        while True:
            batch = await ahead.take()
            for one in batch:
                said = one.said
                if isinstance(said, Fact) and isinstance(said.message, JobCompleted):
                    done = said.message
                    receipt = codec.encode(CompletionReceived(job=done.job, seq=done.seq, epoch=done.epoch))
                    await source.publish([Outgoing(topics.RECEIPT.topic(said.device), receipt, 1, False)])
            results = await asyncio.to_thread(settle_batch, self._database, batch, self._now_ms())
            source.ack([one.delivery for one in batch])
            await self._tell(source, results)

    return _instead(Ingest, "_settle_batches", settle_batches)


@_bug("ingest", "a message is acknowledged when it arrives")
def ack_on_arrival() -> Patch:
    async def fill(self: Any, source: Any) -> None:
        while True:
            deliveries = await source.batch(100)
            source.ack(deliveries)
            self._heard += [ahead_module._hear(one) for one in deliveries]
            self._filled.set()

    return _instead(Ahead, "fill", fill)


@_bug("ingest", "a report that was settled before gets no receipt")
def no_receipt_for_a_repeat() -> Patch:
    told: set[Any] = set()

    def settled(*arguments: Any) -> list[Settled]:
        results = []
        for one in settle_batch(*arguments):
            new = tuple(receipt for receipt in one.receipts if receipt not in told)
            told.update(new)
            results.append(Settled(new, one.stock, one.changed_jobs, one.dead_letters))
        return results

    return _instead(ingest_module, "settle_batch", settled)


@_bug("ingest", "stock that was told once is not told to a broker that lost it")
def stock_told_once() -> Patch:
    class Keeps(dict[Any, Any]):
        def clear(self) -> None:
            pass

    real = Ingest.__init__

    def init(self: Ingest, *arguments: Any, **named: Any) -> None:
        real(self, *arguments, **named)
        self._told = Keeps()

    return _instead(Ingest, "__init__", init)


@_bug("ingest", "a database that does not answer counts as a batch settled")
def unavailable_is_settled() -> Patch:
    def settled(*arguments: Any) -> list[Settled]:
        try:
            return settle_batch(*arguments)
        except DatabaseUnavailable:
            return []

    return _instead(ingest_module, "settle_batch", settled)


@_bug("ingest", "nobody asks for the reports that a restored ledger lost")
def never_asks_for_lost() -> Patch:
    return _instead(Ingest, "_lost", lambda _self: [])


# Ledger.


@_bug("ledger", "a report that comes twice is debited twice: no key is unique")
def no_unique_key() -> Patch:
    def moved(self: HeldItem) -> str | None:
        return "dispense" if self.rank == ITEM_SETTLED and self.state == "done" and self.resolution is None else None

    def changed(self: HeldItem) -> bool:
        return self.rank == ITEM_SETTLED or self.rank != self.was_rank

    @contextmanager
    def patched() -> Iterator[None]:
        from tests.simulation.database import without_unique_movements

        with (
            _instead(HeldItem, "moved", property(moved)),
            _instead(HeldItem, "changed", property(changed)),
            without_unique_movements(),
        ):
            yield

    return patched()


@_bug("ledger", "an item in doubt is debited as if all of it had left")
def debit_in_doubt() -> Patch:
    real = held._take

    def take(item: HeldItem, fact: Any) -> str | None:
        if fact.state == "in_doubt":
            fact = type(fact)(**{**fact.values(), "state": "done", "dispensed_mg": item.target_mg})
        return real(item, fact)

    return _instead(held, "_take", take)


@_bug("ledger", "what left a flask that failed is not debited")
def partial_not_debited() -> Patch:
    real = HeldItem.moved.fget  # type: ignore[attr-defined]  # of a property

    def moved(self: HeldItem) -> str | None:
        return real(self) if self.state == "done" else None

    return _instead(HeldItem, "moved", property(moved))


@_bug("ledger", "a last will wins over a newer birth")
def late_will_wins() -> Patch:
    real = HeldDevice.report

    def report(self: HeldDevice, status: Any) -> None:
        if not status.online and self.epoch == status.epoch and self.online:
            self.online = False
            self.changed = True
            return
        real(self, status)

    return _instead(HeldDevice, "report", report)


@_bug("ledger", "jobs of a flash store that is gone wait for ever")
def epoch_ignored() -> Patch:
    return _instead(_Batch, "end_lost_jobs", _nothing)


@_bug("ledger", "an item that ended keeps its stock reserved")
def reservation_kept() -> Patch:
    return _instead(HeldItem, "released_mg", property(lambda _self: 0))


@_bug("ledger", "each word on an ended item releases its reservation again")
def reservation_released_twice() -> Patch:
    def released_mg(self: HeldItem) -> int:
        return self.target_mg if self.rank >= ITEM_ENDED and self.changed else 0

    return _instead(HeldItem, "released_mg", property(released_mg))


@_bug("ledger", "the stock of a flask is not moved with its movement")
def cache_not_moved() -> Patch:
    real = settle_writes._Writer.run

    def run(self: Any, statement: Any, rows: Sequence[Any]) -> Any:
        if statement is self.sql.put_flasks:
            rows = [(device, flask, 0, released, changes) for device, flask, _, released, changes in rows]
        return real(self, statement, rows)

    return _instead(settle_writes._Writer, "run", run)


@_bug("ledger", "an item's last word is what came last, not what ranks highest")
def last_message_wins() -> Patch:
    def take(item: HeldItem, fact: Any) -> str | None:
        item.state, item.rank, item.says = fact.state, item_rank(fact.state), DEVICE
        item.dispensed_mg, item.duration_ms, item.error = fact.dispensed_mg, fact.duration_ms, fact.error
        return None

    return _instead(held, "_take", take)


@_bug("ledger", "facts about a job that the server had ended change nothing")
def ended_is_ended() -> Patch:
    real = HeldJob.complete

    def complete(self: HeldJob, fact: Any) -> None:
        if self.rank < held.JOB_ENDED:
            real(self, fact)

    return _instead(HeldJob, "complete", complete)


@_bug("ledger", "a job is done when its report came, whatever its items say")
def partial_is_done() -> Patch:
    return _instead(held, "job_outcome", lambda _states: "done")


@_bug("ledger", "numbers that a dispenser used and the ledger does not know are given again")
def numbers_given_again() -> Patch:
    return _instead(HeldDevice, "_lose", _nothing)


@_bug("ledger", "a report of a job that a restored ledger lost is not made into one")
def lost_job_not_recreated() -> Patch:
    return _instead(restored, "recreate", _nothing)


# Orders and dispatch.


@_bug("orders", "a retry orders again what was dispensed")
def retry_of_everything() -> Patch:
    return _instead(retrying, "_left", lambda family: family[0]["target_mg"])


@_bug("dispatch", "an offer is sent once")
def offered_once() -> Patch:
    def repeat(sent_at_ms: Any, _now_ms: Any) -> Any:
        return sent_at_ms.is_(None)

    return _without_statements(_instead(outbox, "_repeat", repeat))


@_bug("dispatch", "commands are retained")
def retained_command() -> Patch:
    return _instead(topics.OFFER, "retained", True)


@_bug("dispatch", "a second job is offered while the first one is out")
def two_at_once() -> Patch:
    def to_number(now_ms: Any) -> Any:
        del now_ms
        return outbox._of_online(outbox._JOB.job, outbox._JOB.state).where(outbox._JOB.state == "queued")

    return _without_statements(_instead(outbox, "_to_number", to_number))


@contextmanager
def _without_statements(patched: Patch) -> Iterator[None]:
    """Statements are made once: a patch of what makes them is for new ones only."""

    def forget() -> None:
        outbox._found.cache_clear()
        outbox._among.cache_clear()

    forget()
    try:
        with patched:
            yield
    finally:
        forget()


# The dispenser.


@_bug("dispenser", "a flask opens before flash says so")
def journal_after_act() -> Patch:
    real = Runner.advance

    def advance(self: Runner, now_ms: int, quiet: bool, out: list[Any]) -> None:
        real(self, now_ms, quiet, out)
        if self.is_busy() and not self.is_open and not self._journal.is_writing():
            self._mark = 0
            real(self, now_ms, quiet, out)

    return _instead(Runner, "advance", advance)


@_bug("dispenser", "after a power cut the open flask is opened again")
def resume_repeats() -> Patch:
    real = Item.move

    def move(self: Item, state: str, *arguments: Any, **named: Any) -> None:
        if state == "in_doubt" and named.get("error") == "interrupted":
            self.state = "pending"
        else:
            real(self, state, *arguments, **named)

    return _instead(Item, "move", move)


@_bug("dispenser", "after a power cut the open flask is reported as done")
def doubt_reported_as_done() -> Patch:
    real = Item.move

    def move(self: Item, state: str, *arguments: Any, **named: Any) -> None:
        if state == "in_doubt" and named.get("error") == "interrupted":
            real(self, "done", self.target_mg, 1, None)
        else:
            real(self, state, *arguments, **named)

    return _instead(Item, "move", move)


@_bug("dispenser", "a boot goes on from the older generation of the state")
def older_generation() -> Patch:
    real = Journal.load

    def load(self: Journal, slots: dict[str, bytes], random_bits: Any) -> list[str]:
        from simulators.truth import newest_state

        newest = newest_state(slots)
        states = {name: content for name, content in slots.items() if name.startswith("state.")}
        older = [content for content in states.values() if newest_state({"state.a": content}) not in (None, newest)]
        return real(self, {**slots, **dict.fromkeys(states, older[0])} if older else slots, random_bits)

    return _instead(Journal, "load", load)


@_bug("dispenser", "a state that went bad in flash is thought never to have been")
def lost_state_forgotten() -> Patch:
    real = Journal._adopt

    def adopt(self: Journal, state: Any, lost: bool) -> None:
        del lost
        real(self, state, False)

    return _instead(Journal, "_adopt", adopt)


@_bug("dispenser", "the broker's word is taken for the server's receipt")
def puback_is_receipt() -> Patch:
    real = Outbox.acknowledged
    journals: list[Journal] = []
    real_init = Journal.__init__

    def init(self: Journal) -> None:
        real_init(self)
        journals.append(self)
        del journals[:-4]

    def acknowledged(self: Outbox) -> None:
        flying = self._flying
        real(self)
        if flying is not None and flying.seq:
            for journal in journals:
                for kept in journal.history.waiting():
                    if kept.payload == flying.payload:
                        journal.receipt(kept.job, kept.seq)

    @contextmanager
    def patched() -> Iterator[None]:
        with _instead(Journal, "__init__", init), _instead(Outbox, "acknowledged", acknowledged):
            yield

    return patched()


@_bug("dispenser", "a report that was not receipted is not repeated")
def never_repeats() -> Patch:
    return _instead(Dispenser, "_repeat_completions", _nothing)


@_bug("dispenser", "an offer that comes again is a new job")
def every_offer_is_new() -> Patch:
    @contextmanager
    def patched() -> Iterator[None]:
        with (
            _instead(Commands, "_is_known", lambda self, _now, job, _seq: self._journal.job is not None),
            _instead(History, "of_job", _nothing),
            _instead(Commands, "_refusal", _nothing),
        ):
            yield

    return patched()


@_bug("dispenser", "a flask that was closed early is reported with all of its target")
def target_reported() -> Patch:
    def amount(self: Runner, *_: Any) -> int:
        job = self._journal.job
        return job.items[self._position].target_mg if job is not None else 0

    return _instead(Runner, "_amount", amount)


@_bug("dispenser", "every connection has the same number")
def connections_not_counted() -> Patch:
    def next_connection(self: Session) -> int:
        self.connection = 1
        return 1

    return _instead(Session, "next_connection", next_connection)


@_bug("dispenser", "boots are not counted")
def boots_not_counted() -> Patch:
    real = Journal.load

    def load(self: Journal, slots: dict[str, bytes], random_bits: Any) -> list[str]:
        problems = real(self, slots, random_bits)
        self.boot = 1
        return problems

    return _instead(Journal, "load", load)


@_bug("dispenser", "a save that failed counts as done")
def failed_save_is_done() -> Patch:
    real = Journal.saved

    def saved(self: Journal, now_ms: int, slot: str, ok: bool) -> str:
        del ok
        return real(self, now_ms, slot, True)

    return _instead(Journal, "saved", saved)


@_bug("dispenser", "only the last report is kept")
def keeps_one_report() -> Patch:
    return _instead(History, "free_index", lambda _self: 0)


@_bug("dispenser", "an old last will is left as its last word")
def old_will_stands() -> Patch:
    return _instead(Commands, "_own_status", _nothing)
