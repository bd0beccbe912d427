"""One dispenser's picture: late, repeated and retained messages."""

import itertools

import pytest

from dashboard.picture import DispenserPicture, Presence, dispenser_value, flask_value, picture_of
from protocol import topics
from protocol.codec import decode
from protocol.messages import ItemProgressed, StatusReported, StockChanged
from tests.dashboard.bench import START_MS, Message, dispenser_view, progress, status, stock


@pytest.fixture
def picture() -> DispenserPicture:
    return picture_of(dispenser_view("line-1"))


def heard(picture: DispenserPicture, message: Message, *, retained: bool = False) -> bool:
    return picture.heard(decode(StatusReported, message[1]), START_MS, retained=retained)


def progressed(picture: DispenserPicture, message: Message, *, retained: bool = False) -> bool:
    flask = topics.parse(message[0])[2]
    assert flask is not None
    return picture.progressed(flask, decode(ItemProgressed, message[1]), START_MS, retained=retained)


def stocked(picture: DispenserPicture, message: Message) -> bool:
    flask = topics.parse(message[0])[2]
    assert flask is not None
    return picture.stocked(flask, decode(StockChanged, message[1]))


def test_a_last_will_takes_the_dispenser_offline_and_says_since_when(picture: DispenserPicture) -> None:
    assert heard(picture, status(online=False))
    assert dispenser_value(picture)["online"] is False
    assert dispenser_value(picture)["since_ms"] == START_MS


def test_a_late_will_of_an_older_connection_changes_nothing(picture: DispenserPicture) -> None:
    heard(picture, status(connection=3))
    assert not heard(picture, status(connection=2, online=False))
    assert picture.presence.online


def test_a_birth_that_comes_after_its_own_last_will_changes_nothing(picture: DispenserPicture) -> None:
    heard(picture, status(online=False))
    assert not heard(picture, status(ms=999))
    assert not picture.presence.online


def test_of_one_connection_the_later_report_stands_whatever_the_order() -> None:
    reports = [status(ms=200, job="job-1"), status(ms=300), status(boot=4, connection=1, ms=5, job="job-2")]
    ends: set[Presence] = set()
    for order in itertools.permutations(reports + reports[:1]):
        fresh = picture_of(dispenser_view())
        for report in order:
            heard(fresh, report)
        ends.add(fresh.presence)
    assert [end.job for end in ends] == ["job-2"]


def test_a_replaced_board_is_believed_and_its_predecessor_never_again(picture: DispenserPicture) -> None:
    assert heard(picture, status(epoch="11112222", boot=1, connection=1, ms=0))
    assert not heard(picture, status(boot=9, connection=9, ms=9_999))
    assert not progressed(picture, progress(0, "done", seq=99))
    assert picture.presence.epoch == "11112222"


def test_the_last_will_of_a_board_that_was_never_met_changes_nothing_and_its_birth_or_the_ledger_does(
    picture: DispenserPicture,
) -> None:
    assert not heard(picture, status(epoch="33334444", boot=1, connection=1, online=False))
    assert heard(picture, status(ms=300, job="job-1"))
    picture.reread(dispenser_view("line-1", epoch="11112222", online=False))
    assert (picture.presence.epoch, picture.presence.online) == ("11112222", False)
    assert heard(picture, status(epoch="33334444", boot=1, connection=1))


def test_replayed_progress_changes_nothing(picture: DispenserPicture) -> None:
    assert progressed(picture, progress(0, "dispensing"))
    assert progressed(picture, progress(0, "done"))
    assert not progressed(picture, progress(0, "dispensing"))
    assert not progressed(picture, progress(0, "done"), retained=True)
    assert picture.progress[1].since_ms == START_MS


def test_a_retained_state_has_no_beginning_that_this_server_could_know(picture: DispenserPicture) -> None:
    progressed(picture, progress(0, "dispensing"), retained=True)
    assert picture.progress[1].since_ms is None


def test_a_newer_job_on_the_flask_replaces_the_last_one(picture: DispenserPicture) -> None:
    progressed(picture, progress(0, "done", seq=1))
    assert progressed(picture, progress(0, "dispensing", seq=2, job="job-2"))
    assert not progressed(picture, progress(0, "failed", seq=1))
    assert picture.progress[1].report.job == "job-2"


def test_stock_of_an_older_revision_changes_nothing(picture: DispenserPicture) -> None:
    assert stocked(picture, stock(1, 40_000, revision=5))
    assert not stocked(picture, stock(1, 45_000, revision=4))
    assert flask_value(picture, 1)["stock_mg"] == 40_000


def test_negative_stock_asks_for_a_count(picture: DispenserPicture) -> None:
    stocked(picture, stock(1, -5, revision=5, reserved_mg=10))
    value = flask_value(picture, 1)
    assert (value["needs_count"], value["available_mg"]) == (True, -15)


def test_the_ledger_read_again_keeps_what_the_dispenser_said_since(picture: DispenserPicture) -> None:
    heard(picture, status(connection=4, job="job-7"))
    stocked(picture, stock(1, 30_000, revision=9))
    picture.reread(dispenser_view("line-1", name="Renamed", refusal="busy"))
    value = dispenser_value(picture)
    assert (value["name"], value["refusal"], value["job"]) == ("Renamed", "busy", "job-7")
    assert flask_value(picture, 1)["stock_mg"] == 30_000


def test_a_ledger_that_was_set_back_is_believed_when_it_is_read_twice(picture: DispenserPicture) -> None:
    stocked(picture, stock(1, 30_000, revision=9))
    before = picture.view
    picture.reread(before)
    assert flask_value(picture, 1)["stock_mg"] == 30_000
    picture.reread(before)
    assert flask_value(picture, 1)["stock_mg"] == before.flasks[0].stock_mg != 30_000


def test_the_ledger_read_again_brings_what_only_it_knew(picture: DispenserPicture) -> None:
    picture.reread(dispenser_view("line-1", online=False, seen_at_ms=START_MS + 1))
    assert dispenser_value(picture)["online"] is False
    assert dispenser_value(picture)["since_ms"] == START_MS + 1
