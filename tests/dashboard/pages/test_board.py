"""The board without scripts."""

from pathlib import Path

from starlette.testclient import TestClient

from tests.dashboard.house import House, house_in


def test_every_dispenser_has_a_tile_with_its_flasks_and_state_in_words(house: House, client: TestClient) -> None:
    house.say(house.status("line-2", online=False))
    text = client.get("/").text
    for words in (
        "Line 1",
        "Line 2",
        "Sea salt",
        "Black pepper",
        "Smoked paprika",
        "100 g",
        "Online",
        "Offline",
        "Low",
    ):
        assert words in text


def test_an_empty_house_says_what_to_do(tmp_path: Path, empty_ledger: Path) -> None:
    empty = house_in(tmp_path, empty_ledger)
    text = empty.client().get("/").text
    empty.database.close()
    assert "pitada devices claim" in text
