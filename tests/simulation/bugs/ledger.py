"""Defects of the ledger."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from protocol.states import DEVICE, item_rank
from services.ledger import held, restored, settle_writes
from services.ledger.held import ITEM_ENDED, ITEM_SETTLED, HeldItem, HeldJob
from services.ledger.presence import HeldDevice
from services.ledger.settle import _Batch
from tests.simulation.bugs.bug import Patch, bug, instead, nothing


@bug("ledger", "a report that comes twice is debited twice: no key is unique")
def no_unique_key() -> Patch:
    def moved(self: HeldItem) -> str | None:
        return "dispense" if self.rank == ITEM_SETTLED and self.state == "done" and self.resolution is None else None

    def changed(self: HeldItem) -> bool:
        return self.rank == ITEM_SETTLED or self.rank != self.was_rank

    @contextmanager
    def patched() -> Iterator[None]:
        from tests.simulation.database import without_unique_movements

        with (
            instead(HeldItem, "moved", property(moved)),
            instead(HeldItem, "changed", property(changed)),
            without_unique_movements(),
        ):
            yield

    return patched()


@bug("ledger", "an item in doubt is debited as if all of it had left")
def debit_in_doubt() -> Patch:
    real = held._take

    def take(item: HeldItem, fact: Any) -> str | None:
        if fact.state == "in_doubt":
            fact = type(fact)(**{**fact.values(), "state": "done", "dispensed_mg": item.target_mg})
        return real(item, fact)

    return instead(held, "_take", take)


@bug("ledger", "what left a flask that failed is not debited")
def partial_not_debited() -> Patch:
    real = HeldItem.moved.fget  # type: ignore[attr-defined]  # of a property

    def moved(self: HeldItem) -> str | None:
        return real(self) if self.state == "done" else None

    return instead(HeldItem, "moved", property(moved))


@bug("ledger", "a last will wins over a newer birth")
def late_will_wins() -> Patch:
    real = HeldDevice.report

    def report(self: HeldDevice, status: Any) -> None:
        if not status.online and self.epoch == status.epoch and self.online:
            self.online = False
            self.changed = True
            return
        real(self, status)

    return instead(HeldDevice, "report", report)


@bug("ledger", "jobs of a flash store that is gone wait for ever")
def epoch_ignored() -> Patch:
    return instead(_Batch, "end_lost_jobs", nothing)


@bug("ledger", "an item that ended keeps its stock reserved")
def reservation_kept() -> Patch:
    return instead(HeldItem, "released_mg", property(lambda _self: 0))


@bug("ledger", "each word on an ended item releases its reservation again")
def reservation_released_twice() -> Patch:
    def released_mg(self: HeldItem) -> int:
        return self.target_mg if self.rank >= ITEM_ENDED and self.changed else 0

    return instead(HeldItem, "released_mg", property(released_mg))


@bug("ledger", "the stock of a flask is not moved with its movement")
def cache_not_moved() -> Patch:
    real = settle_writes._Writer.run

    def run(self: Any, statement: Any, rows: Sequence[Any]) -> Any:
        if statement is self.sql.put_flasks:
            rows = [(device, flask, 0, released, changes) for device, flask, _, released, changes in rows]
        return real(self, statement, rows)

    return instead(settle_writes._Writer, "run", run)


@bug("ledger", "an item's last word is what came last, not what ranks highest")
def last_message_wins() -> Patch:
    def take(item: HeldItem, fact: Any) -> str | None:
        item.state, item.rank, item.says = fact.state, item_rank(fact.state), DEVICE
        item.dispensed_mg, item.duration_ms, item.error = fact.dispensed_mg, fact.duration_ms, fact.error
        return None

    return instead(held, "_take", take)


@bug("ledger", "facts about a job that the server had ended change nothing")
def ended_is_ended() -> Patch:
    real = HeldJob.complete

    def complete(self: HeldJob, fact: Any) -> None:
        if self.rank < held.JOB_ENDED:
            real(self, fact)

    return instead(HeldJob, "complete", complete)


@bug("ledger", "a job is done when its report came, whatever its items say")
def partial_is_done() -> Patch:
    return instead(held, "job_outcome", lambda _states: "done")


@bug("ledger", "numbers that a dispenser used and the ledger does not know are given again")
def numbers_given_again() -> Patch:
    return instead(HeldDevice, "_lose", nothing)


@bug("ledger", "a report of a job that a restored ledger lost is not made into one")
def lost_job_not_recreated() -> Patch:
    return instead(restored, "recreate", nothing)
