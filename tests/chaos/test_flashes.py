"""Which reports a flash says are receipted, at each step of a job's end."""

from firmware.core.job import Item, Job
from firmware.core.slots import DONE, STATES, seal, write_state
from protocol import codec
from protocol.messages import ItemReport, JobCompleted
from tests.chaos.flashes import receipted

EPOCH = "aaaaaaaa"
JOB = Job("J1", 1, [Item(1, 100, "done", 100, 10, None)])


def report(job: str, seq: int) -> bytes:
    item = ItemReport(item=0, flask=1, state="done", target_mg=100, dispensed_mg=100, duration_ms=10, error=None)
    done = JobCompleted(job=job, seq=seq, state="done", items=(item,), epoch=EPOCH, boot=1, ms=5)
    return seal(codec.encode(done))


def test_a_report_counts_from_the_state_that_says_it_is_receipted() -> None:
    slots = {STATES[0]: write_state(1, EPOCH, 1, 1, 0, JOB)}
    assert receipted(slots) == set()
    slots[DONE[0]] = report("J1", 1)
    assert receipted(slots) == set()
    slots[STATES[1]] = write_state(2, EPOCH, 1, 1, 0b1, None)
    assert receipted(slots) == set()
    slots[STATES[0]] = write_state(3, EPOCH, 1, 1, 0, None)
    assert receipted(slots) == {"J1"}


def test_a_report_that_the_state_does_not_know_yet_or_that_is_torn_is_none() -> None:
    slots = {STATES[0]: write_state(1, EPOCH, 1, 1, 0, None), DONE[0]: report("J1", 1), DONE[1]: report("J2", 2)}
    assert receipted(slots) == {"J1"}
    slots[DONE[0]] = slots[DONE[0]][:-1]
    assert receipted(slots) == set()
    assert receipted({}) == set()
