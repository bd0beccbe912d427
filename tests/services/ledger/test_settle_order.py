"""Any order, any repetition, any cut into batches of a run's messages ends in the same tables."""

from dataclasses import dataclass, replace
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from protocol import topics
from protocol.messages import ItemReport
from services.ledger.settle import Incoming

NEW_EPOCH = "bbbbbbbb"

# Each example fills and empties a real database; these many take a few seconds.
exhaustive = settings(
    max_examples=25,
    deadline=None,
    # The floor is emptied before each use.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@dataclass(frozen=True)
class Item:
    flask: int
    target_mg: int
    end: str
    dispensed_mg: int
    progress_lost: bool


@dataclass(frozen=True)
class Job:
    items: tuple[Item, ...]
    ended_by_server: bool
    refused_first: bool
    accept_lost: bool
    never_had: bool


@dataclass(frozen=True)
class Run:
    jobs: tuple[Job, ...]
    connections: tuple[tuple[bool, bool], ...]  # (changed, will) of each
    flash_replaced: bool
    strays: int


items = st.builds(
    Item,
    flask=st.integers(1, 4),
    target_mg=st.integers(1, 5000),
    end=st.sampled_from(["done", "done", "failed", "in_doubt", "skipped"]),
    dispensed_mg=st.integers(0, 900),
    progress_lost=st.booleans(),
)
jobs = st.builds(
    Job,
    items=st.lists(items, min_size=1, max_size=4).map(tuple),
    ended_by_server=st.booleans(),
    refused_first=st.booleans(),
    accept_lost=st.booleans(),
    never_had=st.sampled_from([False, False, False, True]),
)
runs = st.builds(
    Run,
    jobs=st.lists(jobs, min_size=1, max_size=3).map(tuple),
    connections=st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=3).map(tuple),
    flash_replaced=st.booleans(),
    strays=st.integers(0, 2),
)


def prepare(floor: Any, run: Run) -> None:
    floor.clear()
    for seq, job in enumerate(run.jobs, 1):
        floor.offer(f"j{seq}", [(item.flask, item.target_mg) for item in job.items], seq=seq)
        if job.ended_by_server:
            floor.end_by_server(f"j{seq}")


def messages_of(floor: Any, run: Run) -> list[Incoming]:
    """What the dispenser sends, in order."""
    messages: list[Incoming] = []
    for connection, (changed, will) in enumerate(run.connections, 1):
        birth = {"connection": connection, "ms": connection * 10, "last_seq": min(connection, len(run.jobs))}
        messages.append(floor.status(**birth))
        if changed:
            messages.append(floor.status(**{**birth, "ms": birth["ms"] + 5, "config_version": connection}))
        if will:
            messages.append(floor.status(online=False, **birth))
    for seq, job in enumerate(run.jobs, 1):
        lost = run.flash_replaced and seq == len(run.jobs)
        messages += job_messages(floor, job, f"j{seq}", seq, completion_lost=lost)
    messages += [Incoming(f"pitada/v1/d-1/{stray}", b"{}") for stray in range(run.strays)]
    if run.flash_replaced:
        messages.append(floor.status(epoch=NEW_EPOCH))
    return messages


def job_messages(floor: Any, job: Job, name: str, seq: int, completion_lost: bool) -> list[Incoming]:
    if job.never_had:
        return [floor.completed(name, seq=seq)]
    messages = [floor.accepted(name, seq, "busy", ms=seq)] if job.refused_first else []
    if not job.accept_lost:
        messages.append(floor.accepted(name, seq, ms=seq + 1))
    reports: list[ItemReport] = []
    for number, item in enumerate(job.items):
        end = (number, item.flask, item.target_mg, item.end, item.dispensed_mg, error_of(item))
        if not item.progress_lost:
            if item.end != "skipped":
                messages.append(floor.progressed(name, number, item.flask, item.target_mg, "dispensing", seq=seq))
            messages.append(floor.progressed(name, *end, seq=seq))
        reports.append(floor.report(*end))
    if not completion_lost:
        messages.append(floor.completed(name, *reports, seq=seq))
    return messages


def error_of(item: Item) -> str | None:
    return {"done": None, "failed": "jammed", "in_doubt": "interrupted", "skipped": "cancelled"}[item.end]


@exhaustive
@given(run=runs, data=st.data())
def test_any_order_with_repeats_ends_in_the_same_tables(floor: Any, run: Run, data: st.DataObject) -> None:
    prepare(floor, run)
    messages = messages_of(floor, run)
    floor.settle(*messages)
    floor.check_flips()
    in_order = floor.truth()

    prepare(floor, run)
    repeated = [message for message in messages for _ in range(data.draw(st.integers(1, 3), label="times"))]
    shuffled = data.draw(st.permutations(repeated), label="order")
    while shuffled:
        size = data.draw(st.integers(1, len(shuffled)), label="batch")
        floor.settle(*shuffled[:size])
        shuffled = shuffled[size:]
    floor.check_flips()
    assert floor.truth() == in_order


@exhaustive
@given(run=runs)
def test_one_by_one_ends_as_all_at_once(floor: Any, run: Run) -> None:
    prepare(floor, run)
    messages = messages_of(floor, run)
    floor.settle(*messages)
    at_once = floor.truth()
    prepare(floor, run)
    for message in messages:
        floor.settle(message)
    floor.check_flips()
    assert floor.truth() == at_once


@exhaustive
@given(run=runs, data=st.data())
def test_whatever_is_lost_before_a_completion_ends_in_the_same_tables(
    floor: Any, run: Run, data: st.DataObject
) -> None:
    run = replace(run, flash_replaced=False)  # every completion comes
    prepare(floor, run)
    messages = messages_of(floor, run)
    floor.settle(*messages)
    nothing_lost = floor.truth()

    prepare(floor, run)
    may_be_lost = (topics.PROGRESS, topics.ACCEPT)
    kept = [
        message
        for message in messages
        if not _is_of(message, may_be_lost) or _refuses(message) or data.draw(st.booleans(), label="arrives")
    ]
    shuffled = data.draw(st.permutations(kept), label="order")
    while shuffled:
        size = data.draw(st.integers(1, len(shuffled)), label="batch")
        floor.settle(*shuffled[:size])
        shuffled = shuffled[size:]
    floor.check_flips()
    assert floor.truth() == nothing_lost


def _is_of(message: Incoming, channels: tuple[topics.Channel, ...]) -> bool:
    try:
        return topics.parse(message.topic)[1] in channels
    except topics.BadTopic:
        return False


def _refuses(message: Incoming) -> bool:
    """A refusal is no step of the job: it is shown until something is accepted."""
    return b'"refusal":"' in message.payload
