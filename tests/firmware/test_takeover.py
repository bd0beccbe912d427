"""Two dispensers with one name, and a board that replaces another: commands.py tells them apart by their epochs."""

import pytest

from firmware.core.slots import STATES
from protocol import codec, topics
from protocol.messages import StatusReported
from tests.firmware.bench import Bench, flask, online_bench
from tests.firmware.broker import DEVICE

STATUS = topics.STATUS.topic(DEVICE)
OTHER = StatusReported(
    online=True, epoch="feedc0de", boot=9, connection=1, ms=0, firmware="1", reset_cause="power_on",
    config_version=1, job=None, last_seq=0, receipted_seq=0, fault=None,
)  # fmt: skip


def signed_in(connection: int) -> bytes:
    """The other one's status over its connection of that number."""
    return codec.encode(OTHER).replace(b'"connection":1', b'"connection":%d' % connection)


def back_online(bench: Bench) -> None:
    bench.online()
    bench.run(limit_ms=1000)


def test_another_dispenser_under_its_name_is_reported_when_it_is_met_twice(bench: Bench) -> None:
    faults = []
    for connection in (1, 2, 3):
        bench.drop_link()
        bench.broker.retained[STATUS] = signed_in(connection)
        back_online(bench)
        faults.append(bench.status().fault)
    assert faults == [None, "name_taken", "name_taken"]


def test_an_old_word_that_a_broker_says_again_after_a_crash_is_no_second_meeting(bench: Bench) -> None:
    for _ in range(3):
        bench.drop_link()
        bench.broker.retained[STATUS] = signed_in(1)
        back_online(bench)
        bench.to_device(bench.broker.message(STATUS, signed_in(1)))
        bench.run(limit_ms=1000)
    assert bench.status().fault is None


def test_a_restart_forgets_the_other_one() -> None:
    bench = online_bench()
    for connection in (1, 2):
        bench.drop_link()
        bench.broker.retained[STATUS] = signed_in(connection)
        back_online(bench)
    assert bench.status().fault == "name_taken"
    bench.cut_power()
    bench.boot()
    back_online(bench)
    assert bench.status().fault is None


def test_the_last_word_of_a_replaced_board_is_no_other_dispenser() -> None:
    bench = Bench()
    bench.configure(flask(1))
    bench.broker.retained[STATUS] = codec.encode(OTHER)
    bench.boot()
    back_online(bench)
    for _ in range(3):
        bench.drop_link()
        back_online(bench)
    assert bench.status().fault is None


def test_a_last_will_of_another_board_does_not_stay_the_last_word() -> None:
    bench = online_bench()
    bench.run(limit_ms=1000)
    before = len(bench.sent("status"))
    will = codec.encode(OTHER).replace(b'"online":true', b'"online":false')
    bench.broker.retained[STATUS] = will
    bench.to_device(bench.broker.message(STATUS, will))
    bench.run(limit_ms=5000)
    assert len(bench.sent("status")) == before + 1
    assert bench.broker.retained[STATUS] == codec.encode(bench.status())


def test_boots_that_flash_forgot_are_learned_from_its_own_last_word(bench: Bench) -> None:
    own = bench.status()
    bench.drop_link()
    newer = codec.encode(own).replace(b'"boot":%d' % own.boot, b'"boot":%d' % (own.boot + 5))
    bench.broker.retained[STATUS] = newer
    back_online(bench)
    bench.run(limit_ms=5000)
    assert bench.status().boot == own.boot + 6
    assert bench.broker.retained[STATUS] == codec.encode(bench.status())
    bench.cut_power()
    bench.boot()
    back_online(bench)
    assert bench.status().boot == own.boot + 7


@pytest.mark.parametrize("lost", STATES)
def test_boots_that_were_learned_hold_whichever_generation_is_lost(bench: Bench, lost: str) -> None:
    own = bench.status()
    bench.drop_link()
    bench.broker.retained[STATUS] = codec.encode(own).replace(b'"boot":%d' % own.boot, b'"boot":%d' % (own.boot + 1))
    back_online(bench)
    bench.run(limit_ms=5000)
    assert bench.status().boot == own.boot + 2
    bench.cut_power()
    bench.flash[lost] = b"rot"
    del bench.broker.retained[STATUS]
    bench.boot()
    back_online(bench)
    assert bench.status().boot == own.boot + 4
