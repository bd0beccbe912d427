"""The fleet's channel."""

import pytest

from dashboard.fleet_picture import FleetPicture
from dashboard.ledger_reads import Fleet
from tests.dashboard.bench import Clock, dispenser_view, flask_view, job_view


@pytest.fixture
def picture(clock: Clock) -> FleetPicture:
    made = FleetPicture(clock.now_ms)
    made.take(Fleet((dispenser_view("line-1"), dispenser_view("line-2")), (job_view("job-1"),)))
    made.channel.flush()
    return made


def test_reading_the_same_again_shows_nothing_new(picture: FleetPicture) -> None:
    picture.take(Fleet((dispenser_view("line-1"), dispenser_view("line-2")), (job_view("job-1"),)))
    assert not picture.channel.dirty


def test_what_the_ledger_no_longer_lists_is_no_longer_shown(picture: FleetPicture) -> None:
    picture.take(Fleet((dispenser_view("line-1", flasks=(flask_view("line-1", 2),)),), ()))
    assert picture.channel.keys() == {"device/line-1", "flask/line-1/2"}
    assert picture.dispensers.keys() == {"line-1"}


def test_a_flask_that_the_ledger_does_not_know_is_not_shown(picture: FleetPicture) -> None:
    picture.show_flask("line-1", 9)
    assert not picture.channel.dirty
