"""The pages of jobs without scripts."""

from html import unescape

import pytest
from starlette.testclient import TestClient

from protocol.errors import ITEM_ERRORS
from services import calibration
from tests.dashboard.api.test_jobs import place
from tests.dashboard.house import House


def test_a_partly_done_job_shows_what_failed_why_and_what_to_do(house: House, client: TestClient) -> None:
    job = place(client, (1, 5_000), (2, 1_000)).json()["job"]
    offer = house.offer()
    house.accept("line-1", offer)
    house.complete("line-1", offer, ("done", None), ("failed", "jammed"))
    text = client.get(f"/jobs/{job}").text
    for words in ("Partly done", "Done", "Failed", ITEM_ERRORS["jammed"], "Retry failed flasks", "2.5 s"):
        assert words in text
    response = client.post(f"/jobs/{job}/retry")
    assert response.status_code == 303
    retry = house.job(response.headers["location"].removeprefix("/jobs/"))
    assert (retry.retry_of, [item.flask for item in retry.items]) == (job, [2])


@pytest.mark.parametrize("code", ITEM_ERRORS)
def test_every_error_is_said_in_words_that_say_what_to_do(house: House, client: TestClient, code: str) -> None:
    job = place(client, (1, 5_000)).json()["job"]
    offer = house.offer()
    house.accept("line-1", offer)
    state = {"interrupted": "in_doubt", "cancelled": "skipped"}.get(code, "failed")
    house.complete("line-1", offer, (state, code))
    text = unescape(client.get(f"/jobs/{job}").text)
    # Beside the flask, in the log, and in the page's dictionary for its script.
    assert text.count(ITEM_ERRORS[code]) == 3


def test_a_calibration_is_shown_as_one_and_offers_no_retry(house: House, client: TestClient) -> None:
    job = calibration.start(
        house.database, "line-1", 1, open_ms=3000, now_ms=house.now_ms(), job_id=house.new_id(), by="ana"
    ).job
    offer = house.offer()
    house.accept("line-1", offer)
    house.complete("line-1", offer, ("failed", "jammed"))
    text = client.get(f"/jobs/{job}").text
    assert "3.0 s, whatever comes out" in text
    assert "Retry failed flasks" not in text


def test_a_stop_is_shown_as_requested_until_the_dispenser_confirms(house: House, client: TestClient) -> None:
    job = place(client, (1, 5_000)).json()["job"]
    offer = house.offer()
    house.accept("line-1", offer)
    assert "Stop the job" in client.get(f"/jobs/{job}").text
    assert client.post(f"/jobs/{job}/stop").status_code == 303
    text = client.get(f"/jobs/{job}").text
    assert "Stop requested" in text
    assert "Stop the job" not in text
    house.complete("line-1", offer, ("skipped", "cancelled"))
    text = client.get(f"/jobs/{job}").text
    assert "Stop requested" not in text
    assert "Stopped" in text


def test_an_item_in_doubt_shows_its_range_and_takes_the_operators_word(house: House, client: TestClient) -> None:
    job = place(client, (1, 5_000)).json()["job"]
    offer = house.offer()
    house.accept("line-1", offer)
    house.progress("line-1", offer, 0, "dispensing")
    house.complete("line-1", offer, ("in_doubt", "interrupted"))
    text = client.get(f"/jobs/{job}").text
    assert "nobody knows how much" in text
    assert "Retry failed flasks" not in text
    resolve = f"/jobs/{job}/items/0/resolve"
    assert client.post(resolve, data={"outcome": "weighed"}).status_code == 422
    assert client.post(resolve, data={"outcome": "maybe"}).status_code == 422
    assert client.post(resolve, data={"outcome": "weighed", "grams": "3.2"}).status_code == 303
    again = client.post(resolve, data={"outcome": "dispensed"})
    assert (again.status_code, "resolved as weighed already" in again.text) == (409, True)
    [flask, *_] = client.get("/api/v1/stock").json()
    assert flask["stock_mg"] == 100_000 - 3_200


def test_what_is_refused_is_said_on_a_page(client: TestClient) -> None:
    job = place(client, (1, 5_000)).json()["job"]
    client.post(f"/jobs/{job}/stop")
    response = client.post(f"/jobs/{job}/stop")
    assert response.status_code == 409
    assert "already ended" in response.text
    assert client.get("/jobs/nothing").status_code == 404


def test_the_list_pages_back(house: House, client: TestClient) -> None:
    for _ in range(51):
        house.at_ms += 1
        place(client, (1, 1))
    first = client.get("/jobs").text
    assert first.count("<job-row") == 50
    assert client.get(f"/jobs?before={house.job('job-0002').job}").text.count("<job-row") == 1
    assert "/jobs?before=job-0002" in first
