"""Kept completions: eight slots, none lost before its receipt."""

from firmware.core import slots
from firmware.core.history import History, Kept
from firmware.core.job import Item, Job
from protocol import codec
from protocol.messages import ItemReport, JobCompleted


def completion(seq: int, epoch: str = "deadbeef") -> bytes:
    report = ItemReport(item=0, flask=1, state="done", target_mg=5, dispensed_mg=5, duration_ms=5, error=None)
    return codec.encode(
        JobCompleted(job=f"job-{seq}", seq=seq, state="done", items=(report,), epoch=epoch, boot=1, ms=1)
    )


def filled(*seqs: int) -> History:
    history = History()
    for index, seq in enumerate(seqs):
        history.add(index, Kept(f"job-{seq}", seq, completion(seq)))
    return history


def seqs(kept: list[Kept]) -> list[int]:
    return [one.seq for one in kept]


def test_a_full_history_gives_up_the_oldest_receipted_one_and_no_other() -> None:
    history = filled(1, 2, 3, 4, 5, 6, 7, 8)
    assert history.free_index() is None
    history.receipt("job-5", 5)
    history.receipt("job-3", 3)
    assert history.free_index() == 2


def test_job_numbers_with_gaps_do_not_push_out_what_waits() -> None:
    history = filled(1)
    index = history.free_index()
    assert index == 1
    history.add(index, Kept("job-9", 9, completion(9)))
    assert seqs(history.waiting()) == [1, 9]


def test_the_newest_is_published_with_those_that_wait() -> None:
    history = filled(3, 4, 5)
    assert history.receipt("job-5", 5)
    assert history.receipt("job-4", 4)
    assert seqs(history.waiting()) == [3]
    assert sorted(seqs(history.due())) == [3, 5]
    assert history.receipt("job-3", 3)
    assert history.due() == []


def test_a_receipt_for_something_else_changes_nothing() -> None:
    history = filled(3)
    assert not history.receipt("job-4", 3)
    assert not history.receipt("job-3", 4)
    assert history.receipt("job-3", 3)
    assert not history.receipt("job-3", 3)


def test_resend_makes_those_from_a_number_on_wait_again() -> None:
    history = filled(3, 4, 5)
    for seq in (3, 4, 5):
        history.receipt(f"job-{seq}", seq)
    assert history.resend(4)
    assert seqs(history.waiting()) == [4, 5]
    assert not history.resend(4)


def test_slots_load_as_they_were_saved() -> None:
    flash = {"done.0": slots.seal(completion(3)), "done.7": slots.seal(completion(4))}
    history = History()
    assert history.load(flash, "deadbeef", 0b10000000, 4, None) == ([], [])
    assert seqs(history.waiting()) == [4]
    found = history.find("job-3", 3)
    assert found is not None
    assert found.payload == completion(3)


def test_the_completion_of_the_job_in_hand_is_taken_as_it_is() -> None:
    job = Job("job-5", 5, [Item(1, 5, "done", 5, 5)])
    history = History()
    _problems, unknown = history.load({"done.2": slots.seal(completion(5))}, "deadbeef", 0, 5, job)
    assert seqs(unknown) == [5]
    assert seqs(history.waiting()) == [5]


def test_cancellations_whose_numbers_the_state_does_not_have_are_kept_and_wait() -> None:
    history = History()
    flash = {"done.2": slots.seal(completion(7)), "done.3": slots.seal(completion(6))}
    _problems, unknown = history.load(flash, "deadbeef", 0, 5, None)
    assert sorted(seqs(unknown)) == [6, 7]
    assert sorted(seqs(history.waiting())) == [6, 7]


def test_a_lost_completion_is_reported_and_one_of_another_epoch_is_not_ours() -> None:
    history = History()
    flash = {"done.0": b"rot", "done.1": slots.seal(completion(2, epoch="00000000"))}
    problems, _finished = history.load(flash, "deadbeef", 0b1, 5, None)
    assert len(problems) == 1
    assert "done.0" in problems[0]
    assert history.newest() is None
