"""Defects of the dispenser."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from firmware.core.commands import Commands
from firmware.core.dispenser import Dispenser
from firmware.core.history import History
from firmware.core.job import Item
from firmware.core.journal import Journal
from firmware.core.runner import Runner
from firmware.core.session import Session
from protocol.limits import COMPLETION_RETRY_MS
from tests.simulation.bugs.bug import Patch, bug, instead, nothing


@bug("dispenser", "a flask opens before flash says so")
def journal_after_act() -> Patch:
    real = Runner.advance

    def advance(self: Runner, now_ms: int, quiet: bool, out: list[Any]) -> None:
        real(self, now_ms, quiet, out)
        if self.is_busy() and not self.is_open and not self._journal.is_writing():
            self._mark = 0
            real(self, now_ms, quiet, out)

    return instead(Runner, "advance", advance)


@bug("dispenser", "after a power cut the open flask is opened again")
def resume_repeats() -> Patch:
    real = Item.move

    def move(self: Item, state: str, *arguments: Any, **named: Any) -> None:
        if state == "in_doubt" and named.get("error") == "interrupted":
            self.state = "pending"
        else:
            real(self, state, *arguments, **named)

    return instead(Item, "move", move)


@bug("dispenser", "after a power cut the open flask is reported as done")
def doubt_reported_as_done() -> Patch:
    real = Item.move

    def move(self: Item, state: str, *arguments: Any, **named: Any) -> None:
        if state == "in_doubt" and named.get("error") == "interrupted":
            real(self, "done", self.target_mg, 1, None)
        else:
            real(self, state, *arguments, **named)

    return instead(Item, "move", move)


@bug("dispenser", "a boot goes on from the older generation of the state")
def older_generation() -> Patch:
    real = Journal.load

    def load(self: Journal, slots: dict[str, bytes], random_bits: Any) -> list[str]:
        from simulators.truth import newest_state

        newest = newest_state(slots)
        states = {name: content for name, content in slots.items() if name.startswith("state.")}
        older = [content for content in states.values() if newest_state({"state.a": content}) not in (None, newest)]
        return real(self, {**slots, **dict.fromkeys(states, older[0])} if older else slots, random_bits)

    return instead(Journal, "load", load)


@bug("dispenser", "a state that went bad in flash is thought never to have been")
def lost_state_forgotten() -> Patch:
    real = Journal._adopt

    def adopt(self: Journal, state: Any, lost: bool) -> None:
        del lost
        real(self, state, False)

    return instead(Journal, "_adopt", adopt)


@bug("dispenser", "a report that was not receipted is not repeated")
def never_repeats() -> Patch:
    def repeat(self: Dispenser, now_ms: int) -> None:
        self._repeat_at_ms = now_ms + COMPLETION_RETRY_MS

    return instead(Dispenser, "_repeat_completions", repeat)


@bug("dispenser", "an offer that comes again is a new job")
def every_offer_is_new() -> Patch:
    @contextmanager
    def patched() -> Iterator[None]:
        with (
            instead(Commands, "_is_known", lambda self, _now, job, _seq: self._journal.job is not None),
            instead(History, "of_job", nothing),
            instead(Commands, "_refusal", nothing),
        ):
            yield

    return patched()


@bug("dispenser", "a flask that was closed early is reported with all of its target")
def target_reported() -> Patch:
    def amount(self: Runner, *_: Any) -> int:
        job = self._journal.job
        return job.items[self._position].target_mg if job is not None else 0

    return instead(Runner, "_amount", amount)


@bug("dispenser", "every connection has the same number")
def connections_not_counted() -> Patch:
    def next_connection(self: Session) -> int:
        self.connection = 1
        return 1

    return instead(Session, "next_connection", next_connection)


@bug("dispenser", "boots are not counted")
def boots_not_counted() -> Patch:
    real = Journal.load

    def load(self: Journal, slots: dict[str, bytes], random_bits: Any) -> list[str]:
        problems = real(self, slots, random_bits)
        self.boot = 1
        return problems

    return instead(Journal, "load", load)


@bug("dispenser", "a save that failed counts as done")
def failed_save_is_done() -> Patch:
    real = Journal.saved

    def saved(self: Journal, now_ms: int, slot: str, ok: bool) -> str:
        del ok
        return real(self, now_ms, slot, True)

    return instead(Journal, "saved", saved)


@bug("dispenser", "only the last report is kept")
def keeps_one_report() -> Patch:
    return instead(History, "free_index", lambda _self: 0)


@bug("dispenser", "an old last will is left as its last word")
def old_will_stands() -> Patch:
    return instead(Commands, "_own_status", nothing)
