"""Fleets of real cores at a real Mosquitto."""

import asyncio
import random
import selectors
import time
from pathlib import Path

import pytest

from firmware.core.ports import Port
from protocol.fields import BadValue
from protocol.messages import JobCompleted
from simulators import faults
from simulators.events import BOOTED, CRASHED, Event
from simulators.faults import DUPLICATE, DUPLICATE_ID, HALF_OPEN, POWER_CUT, WIFI_DROP, Fault, FixedFaults
from simulators.fleet import Fleet, FleetBroken
from simulators.truth import POWER_LOST, compare
from tests.simulators.desk import Desk, desk_at, spec

# Openings of 50 to 150 ms at the 20 g/s of `spec`.
SMALL_MG = 1000
LARGE_MG = 3000


def states(done: JobCompleted) -> list[str]:
    return [item.state for item in done.items]


def assert_true(fleet: Fleet, desk: Desk) -> None:
    assert compare(fleet.truth, desk.ledger()) == ((), (), ())


async def test_jobs_become_grams_and_the_reports_equal_what_left(mosquitto: int) -> None:
    specs = [spec(f"grams-{number}") for number in range(2)]
    async with desk_at(mosquitto, specs) as desk, Fleet(specs, "127.0.0.1", mosquitto, seed=1) as fleet:
        jobs = [desk.place(each.device, (1, SMALL_MG), (2, LARGE_MG)) for each in specs for _ in range(2)]
        await desk.all_done()
        assert [desk.completions[job].state for job in jobs] == ["done"] * 4
        assert_true(fleet, desk)
        assert fleet.openings == 8
        assert fleet.connected == 2
        assert fleet.left_mg("grams-0", 1) >= 2 * SMALL_MG
        assert [(each.job, each.item) for each in fleet.truth.of_item(jobs[0], 1)] == [(jobs[0], 1)]


async def test_a_power_cut_in_the_middle_of_a_flask_ends_in_doubt_and_the_rest_goes_on(mosquitto: int) -> None:
    specs = [spec("cut-1")]
    plan = FixedFaults({2: Fault(POWER_CUT, ms=100, at_percent=50)})
    async with (
        desk_at(mosquitto, specs) as desk,
        Fleet(specs, "127.0.0.1", mosquitto, plan=lambda _device: plan) as fleet,
    ):
        job = desk.place("cut-1", (1, SMALL_MG), (2, LARGE_MG), (1, SMALL_MG))
        await desk.all_done()
        done = desk.completions[job]
        assert states(done) == ["done", "in_doubt", "done"]
        assert done.items[1].dispensed_mg is None
        assert fleet.faults == {POWER_CUT: 1}
        assert fleet.boots == 2
        assert (fleet.connected, fleet.signed_in, fleet.reconnects) == (1, 1, 1)
        [interrupted] = fleet.truth.of_item(job, 1)
        assert interrupted.end == POWER_LOST
        assert 0 < interrupted.mg < LARGE_MG
        assert_true(fleet, desk)


async def test_a_job_runs_to_its_end_without_wifi_and_is_reported_after_that(mosquitto: int) -> None:
    specs = [spec("drop-1")]
    plan = FixedFaults({1: Fault(WIFI_DROP, ms=1500)})
    async with (
        desk_at(mosquitto, specs) as desk,
        Fleet(specs, "127.0.0.1", mosquitto, plan=lambda _device: plan) as fleet,
    ):
        job = desk.place("drop-1", (1, SMALL_MG), (2, SMALL_MG), (1, SMALL_MG))
        await fleet.wait_until(lambda: fleet.openings == 3, within_s=10)
        assert not desk.completions
        assert fleet.connected == 0
        await desk.all_done()
        assert states(desk.completions[job]) == ["done"] * 3
        assert fleet.boots == 1
        assert_true(fleet, desk)


async def test_the_button_stops_the_flask_and_what_left_until_then_is_known(mosquitto: int) -> None:
    specs = [spec("stop-1")]
    async with desk_at(mosquitto, specs) as desk, Fleet(specs, "127.0.0.1", mosquitto) as fleet:
        job = desk.place("stop-1", (1, SMALL_MG), (2, 1_000_000), (1, SMALL_MG))
        await desk.until(lambda: fleet.openings == 1)
        board = fleet.boards["stop-1"]
        await fleet.wait_until(lambda: board.hardware.flasks[2].is_open, within_s=10)
        board.press_stop()
        await desk.all_done()
        done = desk.completions[job]
        assert states(done) == ["done", "failed", "skipped"]
        assert done.items[1].error == "cancelled"
        assert done.items[1].dispensed_mg == fleet.left_mg("stop-1", 2) < 1_000_000
        assert_true(fleet, desk)


async def test_a_full_flash_refuses_jobs_and_takes_them_again_when_there_is_room(mosquitto: int) -> None:
    specs = [spec("full-1")]
    async with desk_at(mosquitto, specs) as desk, Fleet(specs, "127.0.0.1", mosquitto) as fleet:
        await desk.until(lambda: "full-1" in desk.status and desk.status["full-1"].config_version == 1)
        flash = fleet.boards["full-1"].hardware.flash
        flash.full = True
        job = desk.place("full-1", (1, SMALL_MG))
        await desk.until(lambda: desk.status["full-1"].fault == "flash_full")
        assert fleet.openings == 0
        flash.full = False
        await desk.all_done()
        assert states(desk.completions[job]) == ["done"]
        assert_true(fleet, desk)


async def test_a_second_board_under_the_same_id_is_switched_off_and_the_first_set_up_anew(mosquitto: int) -> None:
    specs = [spec("name-1")]
    plan = FixedFaults({1: Fault(DUPLICATE_ID)})
    heard: list[Event] = []
    async with (
        desk_at(mosquitto, specs) as desk,
        Fleet(
            specs, "127.0.0.1", mosquitto, plan=lambda _device: plan, on_event=heard.append, second_on_s=(1.0, 1.0)
        ) as fleet,
    ):
        job = desk.place("name-1", (1, SMALL_MG))
        await desk.all_done()
        await fleet.wait_until(lambda: fleet.boots == 2 and fleet.connected == 1, within_s=20)
        assert fleet.faults == {DUPLICATE_ID: 1}
        assert fleet.reconnects >= 1
        first, *others = [opening.device for opening in fleet.truth.openings]
        assert (first, others, states(desk.completions[job])) == ("name-1", [], ["done"])
        assert [event.text for event in heard if event.kind == BOOTED] == ["power_on", "power_on"]
        assert_true(fleet, desk)


async def test_publishes_that_come_twice_change_nothing(mosquitto: int) -> None:
    specs = [spec("twice-1")]
    plan = FixedFaults(publishes={number: Fault(DUPLICATE) for number in range(1, 100)})
    async with (
        desk_at(mosquitto, specs) as desk,
        Fleet(specs, "127.0.0.1", mosquitto, plan=lambda _device: plan) as fleet,
    ):
        jobs = [desk.place("twice-1", (1, SMALL_MG), (2, SMALL_MG)) for _ in range(2)]
        await desk.all_done()
        await desk.until(lambda: all(desk.copies[job] >= 2 for job in jobs))
        assert fleet.openings == 4
        assert_true(fleet, desk)


async def test_the_demo_has_its_faults_and_no_gram_is_lost_or_doubled(mosquitto: int) -> None:
    specs = [spec(f"demo-{number}", flasks=4) for number in range(3)]
    rng = random.Random(20)
    async with (
        desk_at(mosquitto, specs) as desk,
        Fleet(specs, "127.0.0.1", mosquitto, seed=7, plan=faults.DEMO) as fleet,
    ):
        for number in range(30):
            items = [(rng.randint(1, 4), rng.randint(SMALL_MG, LARGE_MG)) for _ in range(rng.randint(2, 3))]
            desk.place(specs[number % 3].device, *items)
        await desk.all_done(within_s=60)
        assert len(desk.completions) == 30
        assert fleet.faults[faults.WIFI_DROP] >= 10
        assert fleet.faults[faults.POWER_CUT] >= 5
        assert fleet.faults[faults.JAM] == 1
        assert fleet.faults[faults.DUPLICATE] >= 3
        assert fleet.faults[faults.DELAY] >= 3
        ends = [state for done in desk.completions.values() for state in states(done)]
        assert ends.count("in_doubt") == fleet.faults[faults.POWER_CUT]
        assert ends.count("failed") == 1
        assert fleet.openings == len(ends)
        assert_true(fleet, desk)


class FastSelector(selectors.DefaultSelector):
    """Waits a 20th of what the loop asks for."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        return super().select(timeout / FastLoop.FACTOR if timeout else timeout)


class FastLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock runs 20 times as fast as the broker's."""

    FACTOR = 20

    def __init__(self) -> None:
        super().__init__(FastSelector())

    def time(self) -> float:
        return time.monotonic() * self.FACTOR


def test_a_half_open_link_is_noticed_and_the_job_is_reported_over_a_new_one(mosquitto: int) -> None:
    specs = [spec("half-1", flow_mg_per_s=2000)]
    plan = FixedFaults({1: Fault(HALF_OPEN)})

    async def run() -> None:
        async with (
            desk_at(mosquitto, specs) as desk,
            Fleet(specs, "127.0.0.1", mosquitto, plan=lambda _device: plan) as fleet,
        ):
            job = desk.place("half-1", (1, SMALL_MG), (2, SMALL_MG))
            await desk.all_done(within_s=300)
            assert fleet.faults == {HALF_OPEN: 1}
            assert states(desk.completions[job]) == ["done", "done"]
            assert desk.status["half-1"].connection > 1
            assert_true(fleet, desk)

    with asyncio.Runner(loop_factory=FastLoop) as runner:
        runner.run(run())


async def test_flash_in_a_directory_outlives_the_fleet(mosquitto: int, tmp_path: Path) -> None:
    specs = [spec("kept-1")]
    async with desk_at(mosquitto, specs) as desk:
        async with Fleet(specs, "127.0.0.1", mosquitto, seed=1, flash_dir=tmp_path):
            desk.place("kept-1", (1, SMALL_MG))
            await desk.all_done()
        first = desk.status["kept-1"]
        async with Fleet(specs, "127.0.0.1", mosquitto, seed=2, flash_dir=tmp_path):
            await desk.until(lambda: desk.status["kept-1"].boot == first.boot + 1 and desk.status["kept-1"].online)
        assert desk.status["kept-1"].epoch == first.epoch
        assert desk.status["kept-1"].last_seq == 1


async def test_the_same_seed_makes_the_same_flash_store(mosquitto: int) -> None:
    specs = [spec("seed-1")]
    epochs = []
    async with desk_at(mosquitto, specs) as desk:
        for seed in (5, 5, 6):
            async with Fleet(specs, "127.0.0.1", mosquitto, seed=seed) as fleet:
                await fleet.wait_until(lambda now=fleet: now.connected == 1, within_s=10)  # type: ignore[misc]  # a default binds this fleet
                await desk.until(lambda: "seed-1" in desk.status and desk.status["seed-1"].online)
            epochs.append(desk.status["seed-1"].epoch)
            # The will is the last that a broker says of a connection: no status of this fleet comes after it.
            await desk.until(lambda: not desk.status["seed-1"].online)
    assert epochs[0] == epochs[1] != epochs[2]


async def test_a_fleet_that_does_not_get_there_says_how_far_it_got() -> None:
    specs = [spec("alone-1")]
    async with Fleet(specs, "127.0.0.1", 1) as fleet:
        with pytest.raises(FleetBroken, match="0 of 1 connected, 1 boots"):
            await fleet.wait_until(lambda: fleet.connected == 1, within_s=0.2)


async def test_a_core_that_raises_breaks_every_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def __init__(self, *_arguments: object) -> None:
            pass

        def step(self, now_ms: int, fact: Port) -> tuple[list[Port], int | None]:
            raise LookupError("lost the thread")

    monkeypatch.setattr("simulators.fleet.Dispenser", Broken)
    heard: list[Event] = []
    async with Fleet([spec("broken-1")], "127.0.0.1", 1, on_event=heard.append) as fleet:
        for _ in range(2):
            with pytest.raises(FleetBroken, match="broken-1 crashed: LookupError: lost the thread"):
                await fleet.wait_until(lambda: False, within_s=10)
    assert [event.kind for event in heard].count(CRASHED) == 1


def test_a_device_id_that_the_protocol_does_not_allow_is_refused_before_anything_starts() -> None:
    with pytest.raises(BadValue, match="device is 'No Such'"):
        Fleet([spec("No Such")], "127.0.0.1", 1)


async def test_a_refill_is_in_the_flask_and_an_unknown_flask_is_refused() -> None:
    async with Fleet([spec("fill-1")], "127.0.0.1", 1) as fleet:
        fleet.refill("fill-1", 1, 500)
        with pytest.raises(KeyError):
            fleet.refill("fill-1", 9, 500)


async def test_a_fleet_that_ended_leaves_no_task_and_no_stream(mosquitto: int) -> None:
    specs = [spec(f"gone-{number}") for number in range(5)]
    before = asyncio.all_tasks()
    async with Fleet(specs, "127.0.0.1", mosquitto, ramp_per_s=1000) as fleet:
        await fleet.wait_until(lambda: fleet.connected == 3, within_s=10)
    assert asyncio.all_tasks() == before
    assert fleet.connected == 0
