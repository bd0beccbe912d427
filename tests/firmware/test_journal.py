"""The journal: one write at a time, two generations, a broken flash noticed and tried again."""

import random
from itertools import product

import pytest

from firmware.core import slots
from firmware.core.job import Item, Job
from firmware.core.journal import SAVE_RETRY_MS, Journal
from firmware.core.ports import Port, Save
from protocol.messages import ConfigureDispenser
from tests.firmware.bench import flask


def loaded(flash: dict[str, bytes]) -> tuple[Journal, list[str]]:
    journal = Journal()
    problems = journal.load(flash, random.Random(1).getrandbits)
    return journal, problems


def shown(journal: Journal) -> tuple[str | None, int, int]:
    return journal.shown


def save(journal: Journal, flash: dict[str, bytes], now_ms: int = 0, ok: bool = True) -> str:
    """Carry out the write that is due; the name of its slot."""
    out: list[Port] = []
    journal.pump(now_ms, out)
    (order,) = out
    assert isinstance(order, Save)
    if ok:
        flash[order.slot] = order.data
    journal.saved(now_ms, order.slot, ok)
    return order.slot


def _other(slot: str) -> str:
    return slots.STATES[1 - slots.STATES.index(slot)]


def with_job(flash: dict[str, bytes]) -> tuple[Journal, Job]:
    """A journal that has taken a job of two items; all of it is in flash."""
    journal, _problems = loaded(flash)
    save(journal, flash)
    job = Job("job-1", 1, [Item(1, 5), Item(2, 5)])
    journal.take(job)
    save(journal, flash)
    return journal, job


def test_a_new_store_gets_an_epoch_and_the_first_boot() -> None:
    journal, problems = loaded({})
    assert problems == []
    assert journal.boot == 1
    assert len(journal.epoch) == 16
    assert not journal.is_clean()


def test_a_store_that_cannot_be_read_is_a_new_one_and_says_so() -> None:
    journal, problems = loaded({"state.a": b"rot", "state.b": b""})
    assert (journal.boot, journal.last_seq) == (1, 0)
    assert len(problems) == 1
    assert "new store" in problems[0]


def test_generations_alternate_and_the_newest_is_taken() -> None:
    flash: dict[str, bytes] = {}
    journal, _problems = loaded(flash)
    names = []
    for seq in range(1, 6):
        journal.take(Job(f"job-{seq}", seq, [Item(1, 5)]))
        names.append(save(journal, flash))
        journal.give_back()
        journal.last_seq = seq
    assert names == ["state.a", "state.b", "state.a", "state.b", "state.a"]
    again, problems = loaded(flash)
    assert problems == []
    assert again.epoch == journal.epoch
    assert again.job is not None
    assert again.job.id == "job-5"
    assert again.boot == 2


@pytest.mark.parametrize("damage", [b"", b"rot", None])
def test_a_lost_generation_falls_back_and_is_taken_as_in_doubt(damage: bytes | None) -> None:
    flash: dict[str, bytes] = {}
    journal, job = with_job(flash)
    job.items[0].move("dispensing")
    journal.touch()
    newest = save(journal, flash)
    if damage is None:
        del flash[newest]
    else:
        flash[newest] = damage
    again, problems = loaded(flash)
    assert len(problems) == 1
    assert again.job is not None
    assert [one.state for one in again.job.items] == ["in_doubt", "pending"]
    assert again.boot == journal.boot + 2
    assert save(again, flash) == newest, "the good generation must not be overwritten first"
    assert again.saved_version == 0, "the good generation does not know this boot: it could give its number again"
    save(again, flash)
    assert again.is_clean()


DAMAGE = ("none", "torn", "newest", "older")
LIVES = tuple(product((1, 2, 3), DAMAGE))
"""How often a boot saves, and what is lost at its end: what it saves last, either generation by itself, or nothing."""


@pytest.mark.parametrize("first", LIVES, ids=str)
def test_no_boot_speaks_under_a_number_that_was_spoken_before(first: tuple[int, str]) -> None:
    for lives in product((first,), LIVES, LIVES):
        flash: dict[str, bytes] = {}
        with_job(flash)
        spoken = 1
        for saves, damage in lives:
            journal, _problems = loaded(flash)
            for _ in range(saves):
                speaks = journal.saved_version > 0
                if journal.is_clean():
                    journal.touch()
                slot = save(journal, flash)
            if damage != "torn":
                speaks = journal.saved_version > 0
            if speaks:
                assert journal.boot > spoken, lives
                spoken = journal.boot
            if damage != "none":
                flash[_other(slot) if damage == "older" else slot] = b"rot"


@pytest.mark.parametrize("lost", slots.STATES)
def test_what_has_to_be_in_both_generations_is_saved_twice_and_holds_without_either(lost: str) -> None:
    flash: dict[str, bytes] = {}
    journal, job = with_job(flash)
    for item in job.items:
        item.move("skipped", 0, 0, "cancelled")
    journal.touch(in_both=True)
    first = save(journal, flash)
    assert not journal.is_clean(), "the generation before would not know of it"
    second = save(journal, flash)
    assert {first, second} == set(slots.STATES)
    assert journal.is_clean()
    assert journal.saved_version == journal.version
    journal.touch()
    save(journal, flash)
    assert journal.is_clean(), "once is enough for what comes after"
    flash[lost] = b"rot"
    again, _problems = loaded(flash)
    assert again.job is not None
    assert [one.state for one in again.job.items] == ["skipped", "skipped"]


def test_what_has_to_be_in_both_waits_for_both_though_other_changes_and_failures_come_between() -> None:
    flash: dict[str, bytes] = {}
    journal, _problems = loaded(flash)
    save(journal, flash)
    journal.touch(in_both=True)
    stopped = journal.version
    out: list[Port] = []
    journal.pump(0, out)
    journal.touch()
    (order,) = out
    assert isinstance(order, Save)
    journal.saved(0, order.slot, True)
    assert journal.saved_version < stopped
    save(journal, flash, ok=False)
    assert journal.saved_version < stopped
    save(journal, flash, now_ms=SAVE_RETRY_MS)
    assert journal.is_clean()


def test_a_slot_is_not_written_twice_at_once() -> None:
    journal, _problems = loaded({})
    out: list[Port] = []
    journal.pump(0, out)
    journal.touch()
    journal.pump(0, out)
    assert len(out) == 1
    assert journal.is_writing()
    assert journal.saved(0, "state.b", True) == ""
    assert journal.saved(0, "state.a", True) == "state"
    assert not journal.is_clean()


def test_a_failed_write_is_tried_again_after_a_while() -> None:
    flash: dict[str, bytes] = {}
    journal, _problems = loaded(flash)
    assert save(journal, flash, now_ms=100, ok=False) == "state.a"
    assert journal.is_failing()
    assert journal.wake_at_ms() == 100 + SAVE_RETRY_MS
    out: list[Port] = []
    journal.pump(100 + SAVE_RETRY_MS - 1, out)
    assert out == []
    assert save(journal, flash, now_ms=100 + SAVE_RETRY_MS) == "state.a"
    assert not journal.is_failing()
    assert journal.is_clean()
    assert journal.wake_at_ms() is None


def test_one_slot_that_cannot_be_written_does_not_keep_the_others_waiting() -> None:
    flash: dict[str, bytes] = {}
    journal, _problems = loaded(flash)
    save(journal, flash)
    journal.keep("job-1", 1, b"{}")
    assert save(journal, flash, now_ms=0, ok=False) == "done.0"
    journal.touch()
    assert save(journal, flash, now_ms=SAVE_RETRY_MS) == "state.b"
    assert journal.is_failing()


def test_a_completion_in_flash_ends_its_job_and_uses_up_its_number() -> None:
    flash: dict[str, bytes] = {}
    journal, _problems = loaded(flash)
    journal.take(Job("job-4", 4, [Item(1, 5)]))
    save(journal, flash)
    assert shown(journal) == ("job-4", 4, 3)
    journal.keep("job-4", 4, b"{}")
    assert not journal.has_room()
    assert save(journal, flash) == "done.0"
    assert journal.job is None
    assert [kept.seq for kept in journal.fresh] == [4]
    assert not journal.is_clean()
    save(journal, flash)
    assert shown(journal) == (None, 4, 3)
    assert journal.receipt("job-4", 4)
    save(journal, flash)
    assert shown(journal) == (None, 4, 4)


def test_a_configuration_waits_for_the_end_of_the_job_and_only_a_newer_one_counts() -> None:
    flash: dict[str, bytes] = {}
    journal, _problems = loaded(flash)
    journal.take(Job("job-1", 1, [Item(1, 5)]))
    save(journal, flash)
    journal.configure(ConfigureDispenser(version=3, flasks=(flask(1),)))
    journal.configure(ConfigureDispenser(version=2, flasks=()))
    out: list[Port] = []
    journal.pump(0, out)
    assert out == []
    assert journal.config_version == 0
    journal.give_back()
    assert [save(journal, flash), save(journal, flash)] == ["state.b", "config"]
    assert journal.config_version == 3
    journal.configure(ConfigureDispenser(version=3, flasks=()))
    assert journal.flask(1) == flask(1)
    assert journal.flask(2) is None
    again, _problems = loaded(flash)
    assert (again.config_version, again.flask(1)) == (3, flask(1))


def test_a_damaged_configuration_is_no_configuration() -> None:
    flash: dict[str, bytes] = {"config": slots.seal(b"{}")}
    journal, problems = loaded(flash)
    assert journal.config_version == 0
    assert any("configuration" in problem for problem in problems)


def test_a_job_that_could_not_be_saved_was_never_there() -> None:
    flash: dict[str, bytes] = {}
    journal, _problems = loaded(flash)
    save(journal, flash)
    journal.take(Job("job-9", 9, [Item(1, 5)]))
    save(journal, flash, ok=False)
    journal.give_back()
    save(journal, flash, now_ms=SAVE_RETRY_MS)
    again, _problems = loaded(flash)
    assert again.job is None
    assert again.last_seq == 0


def test_a_job_given_back_does_not_lower_the_number_of_a_job_whose_report_was_lost() -> None:
    flash: dict[str, bytes] = {}
    journal, _problems = loaded(flash)
    journal.last_seq = 8
    save(journal, flash)
    again, _problems = loaded(flash)
    again.take(Job("job-9", 9, [Item(1, 5)]))
    again.give_back()
    assert again.last_seq == 8


def test_a_resend_before_a_completion_is_written_drops_no_report_that_it_asked_for() -> None:
    flash: dict[str, bytes] = {}
    journal, _problems = loaded(flash)
    for seq in range(1, 9):
        journal.keep(f"job-{seq}", seq, b"{}")
        while not journal.is_clean() or not journal.has_room():
            save(journal, flash)
            journal.receipt(f"job-{seq}", seq)
    journal.touch()
    out: list[Port] = []
    journal.pump(0, out)  # a write is under way
    journal.keep("job-9", 9, b"{}")
    journal.resend(1)
    assert isinstance(out[0], Save)
    journal.saved(0, out[0].slot, True)
    assert save(journal, flash) in slots.STATES
    assert len(journal.history.waiting()) == 8
    out.clear()
    journal.pump(0, out)
    assert out == [], "no slot is free: the ninth waits"
    assert not journal.has_room()
    assert journal.receipt("job-3", 3)
    assert save(journal, flash) == "done.2"
    assert sorted(kept.seq for kept in journal.history.waiting()) == [1, 2, 4, 5, 6, 7, 8, 9]
