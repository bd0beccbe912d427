"""The board without scripts."""

import re
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


def test_the_tile_says_how_long_a_stop_takes(house: House, client: TestClient) -> None:
    assert "A stop closes" not in client.get("/").text
    house.say(house.status("line-1", connection=3, stop_ms=350, stop_mg=2_800))
    assert "A stop closes the flask within 350 ms; at most 2.8 g more comes out." in words(client.get("/").text)


def words(page: str) -> str:
    """The page's text without its marks."""
    return " ".join(re.sub(r"<[^>]*>", "", page).split())


def test_an_empty_house_says_what_to_do(tmp_path: Path, empty_ledger: Path) -> None:
    empty = house_in(tmp_path, empty_ledger)
    text = empty.client().get("/").text
    empty.database.close()
    assert "pitada devices claim" in text
