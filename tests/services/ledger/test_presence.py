"""What a dispenser's statuses and refusals make of its row."""

import json
from typing import Any

import pytest

NEW_EPOCH = "bbbbbbbb"
TWO = [(1, 100), (2, 200)]


def device(floor: Any) -> dict[str, Any]:
    row: dict[str, Any] = floor.row("device", device="d-1")
    return row


def test_a_birth_is_shown_with_what_it_says(floor: Any) -> None:
    floor.settle(floor.status(firmware="2.1.0", config_version=3, job="j", last_seq=4, fault="servo_fault"))
    shown = device(floor)
    assert (shown["online"], shown["firmware"], shown["config_version"], shown["job"]) == (True, "2.1.0", 3, "j")
    assert (shown["last_seq"], shown["fault"], shown["seen_at_ms"]) == (4, "servo_fault", floor.now_ms)


def test_the_time_of_a_stop_is_kept_and_a_dispenser_of_an_earlier_release_says_nothing_of_it(floor: Any) -> None:
    floor.settle(floor.status(stop_ms=350, stop_mg=2_800))
    assert (device(floor)["stop_ms"], device(floor)["stop_mg"]) == (350, 2_800)
    newer = floor.status(connection=2, ms=20)
    old = json.loads(newer.payload)
    del old["stop_ms"], old["stop_mg"]
    floor.settle(newer._replace(payload=json.dumps(old).encode()))
    assert device(floor)["connection"] == 2
    assert (device(floor)["stop_ms"], device(floor)["stop_mg"]) == (None, None)


def test_a_last_will_that_comes_after_a_newer_birth_is_ignored(floor: Any) -> None:
    floor.settle(floor.status(connection=2, ms=20))
    floor.settle(floor.status(online=False, connection=1, ms=10))
    assert device(floor)["online"]


def test_of_one_connection_the_last_will_is_the_last_word(floor: Any) -> None:
    floor.settle(floor.status(online=False, connection=2, ms=10))
    floor.settle(floor.status(connection=2, ms=30, config_version=4))
    assert not device(floor)["online"]
    assert device(floor)["config_version"] == 4


def test_a_last_will_takes_nothing_back_that_was_said_since_the_connection_began(floor: Any) -> None:
    floor.settle(floor.status(ms=10))
    floor.settle(floor.status(ms=50, config_version=4, last_seq=9))
    floor.settle(floor.status(online=False, ms=10))
    assert (device(floor)["config_version"], device(floor)["last_seq"], device(floor)["online"]) == (4, 9, False)


def test_a_last_will_is_no_sign_of_life(floor: Any) -> None:
    floor.settle(floor.status())
    seen_at_ms = device(floor)["seen_at_ms"]
    floor.now_ms += 60_000
    floor.settle(floor.status(online=False))
    assert device(floor)["seen_at_ms"] == seen_at_ms


def test_a_retained_status_that_is_replayed_is_no_sign_of_life(floor: Any) -> None:
    floor.settle(floor.status())
    seen_at_ms = device(floor)["seen_at_ms"]
    floor.now_ms += 60_000
    floor.settle(floor.status())
    assert device(floor)["seen_at_ms"] == seen_at_ms


def test_telemetry_is_kept_and_is_a_sign_of_life(floor: Any) -> None:
    floor.settle(floor.telemetry(rssi_dbm=-70), floor.telemetry(rssi_dbm=-71, round_trip_ms=40))
    shown = device(floor)
    assert (shown["rssi_dbm"], shown["round_trip_ms"], shown["seen_at_ms"]) == (-71, 40, floor.now_ms)


def test_a_new_flash_store_ends_what_the_old_one_was_offered(floor: Any) -> None:
    floor.offer("j", TWO, seq=5)
    floor.settle(floor.progressed("j", 0, 1, 100, seq=5))
    settled = floor.settle(floor.status(epoch=NEW_EPOCH, last_seq=0))
    assert settled.changed_jobs == ("j",)
    assert (floor.row("job", job="j")["state"], floor.row("job", job="j")["says"]) == ("done_partial", "server")
    assert [row["state"] for row in floor.rows("job_item")] == ["done", "in_doubt"]
    assert (device(floor)["epoch"], device(floor)["last_seq"], device(floor)["next_seq"]) == (NEW_EPOCH, 0, 6)
    assert floor.row("flask", device="d-1", flask=2)["reserved_mg"] == 0
    floor.check_flips()


def test_a_job_that_was_never_offered_waits_for_the_new_flash_store(floor: Any) -> None:
    floor.place("j", TWO)
    floor.settle(floor.status(epoch=NEW_EPOCH))
    assert floor.row("job", job="j")["state"] == "queued"


@pytest.mark.parametrize("online", [True, False])
def test_a_status_of_a_flash_store_known_to_be_gone_is_ignored(floor: Any, online: bool) -> None:
    floor.settle(floor.status(epoch=NEW_EPOCH))
    before = floor.truth()
    floor.settle(floor.status(online=online, boot=9, connection=9))
    assert floor.truth() == before


def test_a_last_will_of_a_flash_store_never_met_begins_nothing(floor: Any) -> None:
    floor.settle(floor.status())
    before = floor.truth()
    floor.settle(floor.status(epoch=NEW_EPOCH, online=False))
    assert floor.truth() == before
    floor.settle(floor.status(epoch=NEW_EPOCH))
    assert device(floor)["epoch"] == NEW_EPOCH


def test_the_completion_of_a_replaced_flash_store_still_wins_over_the_doubt(floor: Any) -> None:
    floor.offer("j", TWO)
    floor.settle(floor.status(epoch=NEW_EPOCH))
    floor.settle(floor.completed("j", floor.report(0, 1, 100), floor.report(1, 2, 200)))
    assert (floor.row("job", job="j")["state"], floor.row("job", job="j")["says"]) == ("done", "device")
    assert floor.row("flask", device="d-1", flask=1)["stock_mg"] == 999_900


@pytest.mark.parametrize("status", [{"epoch": NEW_EPOCH}, {"last_seq": 6, "receipted_seq": 6}])
def test_an_expired_offer_that_will_never_be_answered_is_in_doubt(floor: Any, status: dict[str, Any]) -> None:
    floor.settle(floor.status())
    floor.offer("j", TWO, seq=5)
    floor.end_by_server("j", "expired")
    floor.settle(floor.status(boot=2, **status))
    assert floor.row("job", job="j")["state"] == "expired"
    assert [row["state"] for row in floor.rows("job_item")] == ["in_doubt", "in_doubt"]
    before = floor.truth()
    assert floor.settle(floor.status(boot=2, connection=2, **status)).changed_jobs == ()
    assert [line for line in floor.truth() if "device:" not in line] == [
        line for line in before if "device:" not in line
    ]
    floor.settle(floor.completed("j", floor.report(0, 1, 100), floor.report(1, 2, 200), seq=5))
    assert floor.row("job", job="j")["state"] == "done"
    floor.check_flips()


def test_a_late_progress_of_a_replaced_flash_store_changes_how_the_job_ended(floor: Any) -> None:
    floor.offer("j", TWO)
    floor.settle(floor.status(epoch=NEW_EPOCH))
    assert floor.row("job", job="j")["state"] == "failed"
    floor.settle(floor.progressed("j", 0, 1, 100))
    assert floor.row("job", job="j")["state"] == "done_partial"
    floor.check_flips()


def test_a_refusal_is_shown_until_a_job_is_accepted(floor: Any) -> None:
    floor.offer("j", TWO)
    floor.settle(floor.accepted("j", refusal="busy", ms=1))
    assert device(floor)["refusal"] == "busy"
    assert floor.row("job", job="j")["state"] == "offered"
    floor.settle(floor.accepted("j", ms=2))
    assert device(floor)["refusal"] is None
    floor.settle(floor.accepted("j", refusal="busy", ms=1))
    assert device(floor)["refusal"] is None


def test_a_number_that_was_used_up_is_taken_from_the_job_once(floor: Any) -> None:
    floor.offer("j", TWO, seq=5)
    settled = floor.settle(floor.accepted("j", seq=5, refusal="stale_seq"))
    assert settled.changed_jobs == ("j",)
    assert (floor.row("job", job="j")["state"], floor.row("job", job="j")["seq"]) == ("offered", None)
    assert floor.settle(floor.accepted("j", seq=5, refusal="stale_seq")).changed_jobs == ()
    assert device(floor)["refusal"] == "stale_seq"
