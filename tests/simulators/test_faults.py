"""Fault plans: the same for the same seed, and with counts that are certain."""

from collections import Counter

import pytest

from simulators.faults import (
    DELAY,
    DUPLICATE,
    DUPLICATE_ID,
    JAM,
    MAX_OWED,
    OPENING_KINDS,
    PLANS,
    POWER_CUT,
    PROFILES,
    PUBLISH_KINDS,
    WIFI_DROP,
    DrawnFaults,
    Fault,
    FixedFaults,
    FleetPlan,
    Strikes,
    demo,
    plan_named,
    slow_save_ms,
)

DEVICES = ("disp-1", "disp-2", "disp-3")


def counts(plan: FleetPlan, openings: int, publishes: int) -> Counter[str]:
    found: Counter[str] = Counter()
    for device in DEVICES:
        faults = plan(device)
        drawn = [faults.at_opening(number) for number in range(1, openings + 1)]
        drawn += [faults.at_publish(number) for number in range(1, publishes + 1)]
        found.update(fault.kind for fault in drawn if fault is not None)
    return found


@pytest.mark.parametrize("name", PLANS)
def test_the_same_seed_gives_the_same_plan_in_any_order_of_asking(name: str) -> None:
    one, two = plan_named(name, 7, DEVICES), plan_named(name, 7, DEVICES)
    for device in DEVICES:
        forth = [(one(device).at_opening(n), one(device).at_publish(n)) for n in range(1, 200)]
        back = [(two(device).at_opening(n), two(device).at_publish(n)) for n in range(199, 0, -1)]
        assert forth == back[::-1]


def test_another_seed_and_another_device_have_other_faults() -> None:
    def sequence(seed: int, device: str) -> list[Fault | None]:
        return [DrawnFaults(PROFILES["awful"], seed, device).at_opening(number) for number in range(1, 100)]

    assert len({tuple(sequence(seed, device)) for seed in (1, 2) for device in DEVICES}) == 6


@pytest.mark.parametrize("seed", range(20))
def test_the_demo_has_its_faults_within_the_first_sixteen_openings_of_each_dispenser(seed: int) -> None:
    found = counts(demo(seed, DEVICES), openings=16, publishes=24)
    assert found[WIFI_DROP] >= 10
    assert found[POWER_CUT] >= 5
    assert found[JAM] == 1
    assert found[DUPLICATE] >= 3
    assert found[DELAY] >= 3
    assert counts(demo(seed, DEVICES), openings=1000, publishes=1000) == found


def test_a_profile_comes_close_to_its_rates() -> None:
    events = 4000
    found = counts(plan_named("awful", 3, DEVICES), openings=events, publishes=events)
    for kind, rate in PROFILES["awful"]._asdict().items():
        expected = rate * events * len(DEVICES) / 1000
        assert 0.8 * expected <= found[kind] <= 1.2 * expected, kind


def test_more_of_a_fault_leaves_the_others_where_they_were() -> None:
    plain, worse = (plan_named("awful", 3, DEVICES, also) for also in ((), (DUPLICATE_ID,)))
    for device in DEVICES:
        for number in range(1, 2000):
            found, expected = worse(device).at_opening(number), plain(device).at_opening(number)
            assert found == expected or (found is not None and found.kind == DUPLICATE_ID and expected is None)
    more = counts(worse, openings=4000, publishes=0)[DUPLICATE_ID]
    assert 0.8 * 240 <= more <= 1.2 * 240


def test_the_demo_has_its_own_faults_and_no_more() -> None:
    with pytest.raises(ValueError, match=r"'demo'; take one of solid, home, warehouse, awful$"):
        plan_named("demo", 1, DEVICES, also=(JAM,))


def test_a_slow_flash_takes_as_long_as_an_esp32s() -> None:
    taken = [slow_save_ms(1, f"disp-{number}") for number in range(300)]
    assert (min(taken), max(taken)) == (130, 210)
    assert taken == [slow_save_ms(1, f"disp-{number}") for number in range(300)]


def test_the_solid_profile_has_no_faults() -> None:
    assert not counts(plan_named("solid", 3, DEVICES), openings=500, publishes=500)


def test_faults_strike_inside_the_opening() -> None:
    for device in DEVICES:
        plan = plan_named("awful", 5, DEVICES)(device)
        drawn = [fault for fault in map(plan.at_opening, range(1, 500)) if fault is not None]
        assert {fault.kind for fault in drawn} == set(OPENING_KINDS) - {DUPLICATE_ID}
        assert all(0 < fault.at_percent < 100 for fault in drawn)
        published = [fault for fault in map(plan.at_publish, range(1, 500)) if fault is not None]
        assert {fault.kind for fault in published} == set(PUBLISH_KINDS)


def test_an_unknown_name_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(ValueError, match="'calm'; take one of solid, home, warehouse, awful, demo"):
        plan_named("calm", 1, DEVICES)


def test_a_fault_that_could_not_strike_comes_back_at_the_next_free_opening() -> None:
    drop, cut = Fault(WIFI_DROP, 100), Fault(POWER_CUT, 100)
    strikes = Strikes(FixedFaults({1: drop, 2: cut}))
    assert strikes.at_opening() == drop
    strikes.owe(drop)
    assert strikes.at_opening() == cut
    assert strikes.at_opening() == drop
    assert strikes.at_opening() is None
    assert strikes.openings == 4


def test_no_more_faults_wait_than_the_bound() -> None:
    strikes = Strikes(FixedFaults())
    for _ in range(MAX_OWED + 5):
        strikes.owe(Fault(WIFI_DROP))
    waited = [strikes.at_opening() for _ in range(MAX_OWED + 5)]
    assert waited.count(Fault(WIFI_DROP)) == MAX_OWED
