"""Slots: what was written comes back, and nothing that was changed does."""

import json

import pytest

from firmware.core import slots
from firmware.core.job import Item, Job

JOB = Job("job-1", 7, [Item(1, 500, "done", 500, 500), Item(2, 700, "dispensing"), Item(3, 900)])
BODY = slots.unseal(slots.write_state(12, "deadbeef", 3, 7, 5, JOB)) or b""
CONTENT = slots.write_state(12, "deadbeef", 3, 7, 5, JOB)


def test_a_state_comes_back_as_it_was_written() -> None:
    state = slots.read_state(CONTENT)
    assert state is not None
    assert (state.generation, state.epoch, state.boot, state.last_seq, state.unreceipted) == (12, "deadbeef", 3, 7, 5)
    job = slots.read_job(state)
    assert job is not None
    assert (job.id, job.seq) == ("job-1", 7)
    assert [(one.flask, one.target_mg, one.state, one.dispensed_mg) for one in job.items] == [
        (1, 500, "done", 500),
        (2, 700, "dispensing", None),
        (3, 900, "pending", None),
    ]


def test_a_state_without_a_job_comes_back_without_one() -> None:
    state = slots.read_state(slots.write_state(1, "deadbeef", 1, 0, 0, None))
    assert state is not None
    assert slots.read_job(state) is None


def test_any_flipped_bit_is_noticed() -> None:
    for at in range(8 * len(CONTENT)):
        changed = bytearray(CONTENT)
        changed[at // 8] ^= 1 << at % 8
        assert slots.read_state(bytes(changed)) is None, at


def test_a_torn_slot_is_noticed() -> None:
    for size in range(len(CONTENT)):
        assert slots.read_state(CONTENT[:size]) is None, size


def test_an_absent_slot_is_no_state() -> None:
    assert slots.read_state(None) is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"generation":0}',
        BODY[:-1],
        BODY.replace(b'"seq":7', b'"seq":0'),
        BODY.replace(b'"pending"', b'"melted"'),
    ],
)
def test_a_sound_checksum_over_nonsense_is_no_state(body: bytes) -> None:
    assert slots.read_state(slots.seal(body)) is None


def test_the_time_of_a_calibration_comes_back_and_a_slot_of_an_earlier_release_is_read() -> None:
    content = slots.write_state(1, "deadbeef", 1, 7, 0, Job("job-1", 7, [Item(1, 500, open_ms=3000), Item(2, 5)]))
    state = slots.read_state(content)
    assert state is not None
    job = slots.read_job(state)
    assert job is not None
    assert [one.open_ms for one in job.items] == [3000, None]
    written = json.loads(slots.unseal(content) or b"")
    for one in written["items"]:
        del one["open_ms"]
    earlier = slots.read_state(slots.seal(json.dumps(written).encode()))
    assert earlier is not None
    assert [one.open_ms for one in earlier.items] == [None, None]


def test_the_largest_state_fits_a_slot() -> None:
    items = [Item(16, 10_000_000, "failed", 20_000_000, 1_200_000, "not_calibrated", 600_000) for _ in range(16)]
    content = slots.write_state(10**9, "f" * 16, 10**9, 10**9, 255, Job("j" * 32, 10**9, items))
    assert slots.read_state(content) is not None
    assert len(content) < 3100
