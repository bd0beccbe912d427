"""Back-off: spread out, never more than once a second, long after a refusal."""

import random

from firmware.core.backoff import CROWD_CEILING_MS, MAX_CEILING_MS, MIN_GAP_MS, REFUSED_WAIT_MS, Backoff


def test_ten_thousand_dispensers_come_back_spread_over_the_ceiling() -> None:
    rng = random.Random(1)
    due = []
    for _ in range(2000):
        backoff = Backoff(rng.getrandbits)
        for _failure in range(8):
            backoff.failed(0)
        due.append(backoff.due_at_ms)
    assert max(due) <= MAX_CEILING_MS
    buckets = [len([one for one in due if low <= one < low + 3000]) for low in range(0, 30_000, 3000)]
    assert min(buckets) > 120


def test_sessions_that_the_broker_ended_come_back_at_a_thousand_a_second_for_ten_thousand() -> None:
    rng = random.Random(1)
    due = []
    for _ in range(2000):
        backoff = Backoff(rng.getrandbits)
        backoff.ended(0)
        due.append(backoff.due_at_ms)
    assert 9_900 < max(due) <= CROWD_CEILING_MS
    each_second = [len([one for one in due if low <= one < low + 1000]) for low in range(0, 10_000, 1000)]
    assert min(each_second) > 150
    assert max(each_second) < 250


def test_no_outage_of_the_broker_makes_ten_thousand_dispensers_storm_it() -> None:
    rng = random.Random(1)
    for outage_ms in (300, 1000, 3000, 5000, 10_000, 20_000, 60_000):
        back_ms = []
        for _ in range(2000):
            backoff = Backoff(rng.getrandbits)
            backoff.ended(0)
            while backoff.due_at_ms < outage_ms:
                tried_ms = backoff.due_at_ms
                backoff.attempted(tried_ms)
                backoff.failed(tried_ms)
            back_ms.append(backoff.due_at_ms - outage_ms)
        most = max([len([one for one in back_ms if low <= one < low + 1000]) for low in range(0, 31_000, 1000)])
        assert most * 5 < 2000, outage_ms
        assert max(back_ms) <= MAX_CEILING_MS + MIN_GAP_MS


def test_the_ceiling_doubles_and_starts_anew_after_a_success() -> None:
    backoff = Backoff(lambda _bits: 2**30 - 1)
    highest = Backoff(random.Random(1).getrandbits)
    ceilings = []
    for _ in range(6):
        # The largest of many random waits stands for the ceiling.
        seen = []
        for seed in range(200):
            one = Backoff(random.Random(seed).getrandbits)
            one._failures = backoff._failures
            one.failed(0)
            seen.append(one.due_at_ms)
        ceilings.append(max(seen))
        backoff.failed(0)
    assert ceilings == sorted(ceilings)
    assert 900 <= ceilings[0] <= 1000
    assert 29_000 <= ceilings[5] <= 30_000
    for _ in range(6):
        highest.failed(0)
    highest.succeeded()
    highest.failed(0)
    assert highest.due_at_ms <= 1000


def test_attempts_are_a_second_apart_whatever_the_wait() -> None:
    backoff = Backoff(lambda _bits: 0)
    backoff.attempted(5000)
    backoff.failed(5001)
    assert backoff.due_at_ms == 5000 + MIN_GAP_MS
    backoff.again(5002)
    assert backoff.due_at_ms == 5000 + MIN_GAP_MS


def test_a_refusal_waits_long() -> None:
    rng = random.Random(2)
    backoff = Backoff(rng.getrandbits)
    waits = []
    for _ in range(100):
        backoff.refused(0)
        waits.append(backoff.due_at_ms)
    assert min(waits) >= REFUSED_WAIT_MS
    assert max(waits) <= 2 * REFUSED_WAIT_MS
    assert len(set(waits)) > 90
