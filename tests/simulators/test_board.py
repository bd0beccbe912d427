"""The adapter: facts in, orders carried out, and what a power cut takes away."""

import asyncio
import random
from collections.abc import Sequence

import pytest

from firmware.core.ports import (
    Booted,
    CloseFlask,
    Connect,
    Disconnect,
    FlaskClosed,
    Linked,
    LinkLost,
    OpenFlask,
    Port,
    Received,
    Sample,
    Sampled,
    Save,
    Saved,
    Say,
    Send,
    Woke,
)
from simulators.board import Board
from simulators.events import BOOTED, CRASHED, FAULT, OFFLINE, ONLINE, POWERED_OFF, SAID, Event
from simulators.faults import DELAY, DUPLICATE, HALF_OPEN, JAM, POWER_CUT, WIFI_DROP, Fault, FixedFaults, Strikes
from simulators.flash import Flash
from simulators.hardware import Hardware
from simulators.truth import JAMMED, POWER_LOST
from simulators.wifi import Network
from tests.simulators.conftest import CONNACK, Bench, Reaction, VirtualClock

PUBLISH = b"\x32\x07\x00\x03a/b\x00\x01"
OPEN = OpenFlask(1, 60, 60_000, 0, 1000, 2000)


def script(answers: dict[type[Port], list[Port]]) -> Reaction:
    """Order these at each fact of that kind."""
    return lambda fact: answers.get(type(fact), [])


async def test_the_first_fact_of_a_boot_is_what_flash_holds(bench: Bench) -> None:
    bench.flash.save("state.a", b"kept")
    bench.power_on(script({}))
    assert bench.core.facts == [Booted({"state.a": b"kept"}, "power_on")]
    assert bench.told(BOOTED) == ["power_on"]


async def test_facts_that_orders_cause_come_after_all_orders_of_the_step(bench: Bench) -> None:
    boot: list[Port] = [Save("a", b"1"), Say("info", "one"), Save("b", b"2"), Sample(), Say("error", "two")]
    bench.power_on(script({Booted: boot}))
    assert bench.core.facts[1:3] == [Saved("a", True), Saved("b", True)]
    assert isinstance(bench.core.facts[3], Sampled)
    assert bench.told(SAID) == ["info: one", "error: two"]
    assert bench.flash.read() == {"a": b"1", "b": b"2"}


async def test_a_stream_is_opened_used_and_lost(bench: Bench) -> None:
    board = bench.power_on(script({Booted: [Connect()], Linked: [Send(b"hello")]}))
    await bench.until(lambda: bench.core.heard(Received(CONNACK)) and board.wifi.online)
    await bench.until(lambda: bool(bench.peer.streams) and bench.peer.streams[0].received == b"hello")
    bench.peer.streams[0].close()
    await bench.until(lambda: bench.core.heard(LinkLost("the broker closed the stream", by_broker=True)))
    assert bench.told(ONLINE) == [""]
    assert bench.told(OFFLINE) == ["the broker closed the stream"]


async def test_only_a_session_that_was_can_go_offline(bench: Bench) -> None:
    bench.peer.network = Network("127.0.0.1", 1)
    bench.power_on(script({Booted: [Connect()]}))
    await bench.until(lambda: LinkLost in bench.core.kinds())
    assert bench.told(OFFLINE) == []


async def test_a_disconnect_is_not_answered(bench: Bench) -> None:
    bench.power_on(script({Booted: [Connect()], Received: [Disconnect(), Save("done", b"1")]}))
    await bench.until(lambda: bool(bench.peer.streams) and bench.peer.streams[0].ended)
    assert bench.core.kinds() == [Booted, Linked, Received, Saved]


async def test_the_core_is_woken_at_the_time_it_asked_for_and_not_before(bench: Bench) -> None:
    bench.power_on(script({}), wake_at_ms=40)
    await bench.until(lambda: bench.core.heard(Woke()))
    assert bench.core.times_ms[0] == 0
    assert bench.core.times_ms[-1] >= 40
    assert bench.core.times_ms == sorted(bench.core.times_ms)


async def test_a_slow_save_is_answered_when_it_is_in_flash_one_after_the_other(bench: Bench) -> None:
    bench.flash.save_ms = 15
    bench.power_on(script({Booted: [Save("a", b"1"), Save("b", b"2")]}))
    assert bench.flash.read() == {}
    await bench.until(lambda: bench.core.heard(Saved("b", True)))
    assert bench.core.facts[1:] == [Saved("a", True), Saved("b", True)]
    assert bench.core.times_ms[2] >= 29


async def test_a_failing_save_says_so(bench: Bench) -> None:
    bench.flash.full = True
    bench.power_on(script({Booted: [Save("a", b"1")]}))
    assert bench.core.facts[1:] == [Saved("a", False)]


async def test_power_cut_during_a_save_leaves_the_old_content_and_a_new_core_finds_it(bench: Bench) -> None:
    bench.flash.save("a", b"old")
    bench.flash.save_ms = 10_000
    board = bench.power_on(script({Booted: [Save("a", b"new")]}))
    board.power_cut(off_ms=10)
    assert board.core is None
    await bench.until(lambda: len(bench.cores) == 2)
    assert bench.core.facts == [Booted({"a": b"old"}, "power_on")]
    assert bench.cores[0].kinds() == [Booted]


async def test_a_save_that_power_interrupted_is_not_finished_by_the_next_boot(bench: Bench) -> None:
    bench.flash.save("a", b"old")
    bench.flash.save_ms = 30
    board = bench.power_on(lambda _fact: [Save("a", b"new")] if len(bench.cores) == 1 else [], wake_at_ms=60)
    board.power_cut(off_ms=1)
    await bench.until(lambda: bench.core.heard(Woke()))
    assert len(bench.cores) == 2
    assert bench.flash.read() == {"a": b"old"}


async def test_a_power_cut_between_two_orders_forgets_the_rest_and_what_waited_to_be_told(bench: Bench) -> None:
    boot: list[Port] = [Save("a", b"1"), Say("info", "lights out"), Save("b", b"2")]
    boards: list[Board] = []

    def cut(event: Event) -> None:
        if event.kind == SAID:
            boards[0].power_cut(off_ms=0)

    bench.on_event = cut
    board = bench.power_on(lambda fact: boot if len(bench.cores) == 1 and isinstance(fact, Linked) else [Connect()])
    boards.append(board)
    await bench.until(lambda: len(bench.cores) == 2)
    assert bench.cores[0].kinds() == [Booted, Linked]
    assert bench.core.facts[0] == Booted({"a": b"1"}, "power_on")
    assert bench.flash.read() == {"a": b"1"}


def test_the_core_is_never_woken_a_rounding_too_early() -> None:
    clock = VirtualClock()
    loop = asyncio.SelectorEventLoop(clock)
    loop.time = lambda: clock.now_s  # type: ignore[method-assign]  # how asyncio's clock is replaced
    woken: list[tuple[int, int]] = []

    class Waker:
        def __init__(self) -> None:
            self.due_ms = 0

        def step(self, now_ms: int, fact: Port) -> tuple[list[Port], int | None]:
            woken.append((self.due_ms, now_ms))
            self.due_ms += 1 + self.due_ms % 7
            return [], self.due_ms if self.due_ms < 2000 else None

    async def run() -> None:
        hardware = Hardware({}, Flash(), Strikes(FixedFaults()), random.Random(1))
        board = Board("disp-1", Waker, hardware, Network("127.0.0.1", 1), lambda _event: None, lambda _opening: None)
        board.boot()
        await asyncio.sleep(2)  # virtual
        await board.stop()

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(run())
    assert len(woken) > 400
    assert [now_ms - due_ms for due_ms, now_ms in woken if now_ms != due_ms] == []


async def test_the_clock_of_a_boot_starts_at_zero(bench: Bench) -> None:
    board = bench.power_on(script({}), wake_at_ms=30)
    await bench.until(lambda: bench.core.heard(Woke()))
    board.power_cut(off_ms=5)
    await bench.until(lambda: len(bench.cores) == 2)
    assert bench.core.times_ms == [0]


async def test_a_power_cut_in_the_middle_of_a_flask_closes_it_and_the_broker_is_not_told(bench: Bench) -> None:
    plan = FixedFaults({1: Fault(POWER_CUT, ms=10, at_percent=50)})
    board = bench.power_on(script({Booted: [Connect()], Received: [OPEN]}), plan)
    await bench.until(lambda: len(bench.cores) == 2)
    assert [opening.end for opening in bench.truth.openings] == [POWER_LOST]
    assert 0 < bench.flask.left_mg < 60
    assert not bench.flask.is_open
    assert FlaskClosed not in bench.cores[0].kinds()
    assert not bench.peer.streams[0].ended
    assert bench.told(FAULT) == [POWER_CUT]
    assert bench.told(POWERED_OFF) == ["power was cut"]
    await bench.until(lambda: len(bench.truth.openings) == 2 and board.wifi.online)


async def test_the_amount_that_left_is_the_measured_time_times_the_flow(bench: Bench) -> None:
    bench.power_on(script({Booted: [OPEN]}))
    await bench.until(lambda: FlaskClosed in bench.core.kinds())
    closed = bench.core.facts[-1]
    assert isinstance(closed, FlaskClosed)
    assert bench.flask.left_mg == closed.open_ms == bench.truth.openings[0].mg


async def test_a_flask_is_closed_early_by_order(bench: Bench) -> None:
    bench.power_on(script({Booted: [OpenFlask(1, 60_000, 60_000, 0, 1000, 2000), Sample()], Sampled: [CloseFlask(1)]}))
    await bench.until(lambda: FlaskClosed in bench.core.kinds())
    assert bench.flask.left_mg < 1000


async def test_a_wifi_drop_waits_for_an_opening_with_a_link_to_drop(bench: Bench) -> None:
    def react(fact: Port) -> Sequence[Port]:
        if isinstance(fact, FlaskClosed):
            return [Connect()] if len(bench.truth.openings) == 1 else []
        return [OPEN] if isinstance(fact, (Booted, Received)) else []

    bench.power_on(react, FixedFaults({1: Fault(WIFI_DROP, ms=10)}))
    await bench.until(lambda: bench.core.heard(LinkLost("Wi-Fi went away")))
    assert bench.told(FAULT) == [WIFI_DROP]
    assert len(bench.told(ONLINE)) == 1
    assert [opening.number for opening in bench.truth.openings] == [1]
    await bench.until(lambda: len(bench.truth.openings) == 2)


async def test_a_jam_strikes_once_and_leaves_the_flask_as_it_was(bench: Bench) -> None:
    def react(fact: Port) -> Sequence[Port]:
        return [OPEN] if len(bench.truth.openings) < 2 and not isinstance(fact, FlaskClosed) else []

    bench.power_on(react, FixedFaults({1: Fault(JAM)}))
    await bench.until(lambda: FlaskClosed in bench.core.kinds())
    assert [opening.end for opening in bench.truth.openings] == [JAMMED, "closed"]
    assert bench.told(FAULT) == [JAM]


async def test_half_open_leaves_the_core_to_find_out(bench: Bench) -> None:
    board = bench.power_on(script({Booted: [Connect()], Received: [OPEN]}), FixedFaults({1: Fault(HALF_OPEN)}))
    await bench.until(lambda: FlaskClosed in bench.core.kinds())
    assert bench.told(FAULT) == [HALF_OPEN]
    assert not board.wifi.online
    assert LinkLost not in bench.core.kinds()
    assert not bench.peer.streams[0].ended


async def test_a_publish_is_sent_again_with_its_dup_flag(bench: Bench) -> None:
    board = bench.power_on(script({Booted: [Connect()]}), FixedFaults(publishes={2: Fault(DUPLICATE)}))
    await bench.until(lambda: board.wifi.online)
    bench.core.react = script({Received: [Send(PUBLISH), Send(b"\xc0\x00"), Send(PUBLISH), Send(PUBLISH)]})
    bench.peer.streams[0].write(b"\xd0\x00")
    expected = PUBLISH + b"\xc0\x00" + PUBLISH + b"\x3a" + PUBLISH[1:] + PUBLISH
    await bench.until(lambda: len(bench.peer.streams[0].received) >= len(expected))
    assert bench.peer.streams[0].received == expected
    assert bench.told(FAULT) == [DUPLICATE]


async def test_a_delay_holds_back_what_follows_and_keeps_the_order(bench: Bench) -> None:
    board = bench.power_on(script({Booted: [Connect()]}), FixedFaults(publishes={1: Fault(DELAY, ms=50)}))
    await bench.until(lambda: board.wifi.online)
    bench.core.react = script({Received: [Send(PUBLISH), Send(b"\xc0\x00")]})
    started = asyncio.get_running_loop().time()
    bench.peer.streams[0].write(b"\xd0\x00")
    await bench.until(lambda: bench.peer.streams[0].received == PUBLISH + b"\xc0\x00")
    assert asyncio.get_running_loop().time() - started >= 0.045
    assert bench.told(FAULT) == [DELAY]


async def test_a_core_that_raises_halts_the_board_and_is_shown(bench: Bench) -> None:
    def react(fact: Port) -> Sequence[Port]:
        if isinstance(fact, Linked):
            raise LookupError("no such job")
        return [Connect()]

    board = bench.power_on(react)
    await bench.until(lambda: bool(bench.told(CRASHED)))
    assert bench.told(CRASHED) == ["LookupError: no such job"]
    assert board.core is None


async def test_a_core_that_opens_two_flasks_at_once_is_halted_with_both_closed(bench: Bench) -> None:
    bench.power_on(script({Booted: [OPEN, OPEN]}))
    assert bench.told(CRASHED) == ["GateMisused: disp-1 opens flask 1 while flask 1 is open"]
    assert not bench.flask.is_open


@pytest.mark.parametrize("moment", ["connecting", "online", "dispensing"])
async def test_a_stopped_board_leaves_no_task_and_no_socket(bench: Bench, moment: str) -> None:
    board = bench.power_on(script({Booted: [Connect()], Received: [OpenFlask(1, 60_000, 60_000, 0, 1, 2)]}))
    if moment == "online":
        await bench.until(lambda: board.wifi.online)
    elif moment == "dispensing":
        await bench.until(lambda: bench.flask.is_open)
    await board.stop()
    assert not bench.flask.is_open
    assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []
    await bench.until(lambda: all(stream.ended for stream in bench.peer.streams))
