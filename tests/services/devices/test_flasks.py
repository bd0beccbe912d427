"""What is said of flasks, and what cannot be."""

import pytest

from services.devices import BadSetup, FlaskChange, FlaskSetup
from services.devices.flasks import check, columns, is_sent


def test_a_flask_has_sensible_settings_unless_told_otherwise() -> None:
    values = columns(FlaskSetup(3, "flour", 1_000_000))
    assert (values["low_mg"], values["channel"], values["flow_mg_per_s"]) == (100_000, 2, 0)
    assert (values["closed_us"], values["open_us"]) == (1000, 2000)
    told = columns(FlaskSetup(3, "flour", 1_000_000, low_mg=0, channel=9))
    assert (told["low_mg"], told["channel"]) == (0, 9)
    check([values])


@pytest.mark.parametrize(
    ("flasks", "says"),
    [
        ((FlaskSetup(0, "flour", 1000, channel=0),), "flask is 0"),
        ((FlaskSetup(17, "flour", 1000, channel=0),), "flask is 17"),
        ((FlaskSetup(1, "flour", 1000), FlaskSetup(1, "salt", 1000, channel=3)), "flask 1 is used by two"),
        ((FlaskSetup(1, "flour", 1000), FlaskSetup(2, "salt", 1000, channel=0)), "channel 0 is used by two"),
        ((FlaskSetup(1, "", 1000),), "Flask 1: ingredient is ''"),
        ((FlaskSetup(1, "flour", 0),), "capacity_mg is 0"),
        ((FlaskSetup(1, "flour", 1000, low_mg=-1),), "low_mg is -1"),
        ((FlaskSetup(1, "flour", 1000, max_open_ms=600_001),), "max_open_ms is 600001"),
        ((FlaskSetup(1, "flour", 1000, open_us=2501),), "open_us is 2501"),
        ((FlaskSetup(1, "flour", 1000, channel=16),), "channel is 16"),
        (tuple(FlaskSetup(number, "flour", 1000) for number in range(1, 18)), "17 flasks"),
    ],
)
def test_flasks_that_one_dispenser_cannot_have_are_refused_in_words(flasks: tuple[FlaskSetup, ...], says: str) -> None:
    with pytest.raises(BadSetup, match=says):
        check([columns(flask) for flask in flasks])


def test_a_change_holds_only_what_it_names() -> None:
    assert FlaskChange(1).values() == {}
    assert FlaskChange(1, low_mg=0, channel=2).values() == {"low_mg": 0, "channel": 2}


def test_the_dispenser_is_sent_what_it_needs_to_open_a_flask() -> None:
    assert is_sent({"flow_mg_per_s": 1})
    assert not is_sent({"low_mg": 1, "ingredient": "salt", "capacity_mg": 1})
