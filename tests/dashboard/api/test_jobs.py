"""Placing, stopping and retrying jobs over REST."""

from typing import Any

import pytest
from httpx2 import Response
from starlette.testclient import TestClient

from tests.dashboard.house import House


def place(client: TestClient, *items: tuple[int, int], key: str | None = None, device: str = "line-1") -> Response:
    body = {"device": device, "items": [{"flask": flask, "target_mg": target_mg} for flask, target_mg in items]}
    return client.post("/api/v1/jobs", json=body, headers={"Idempotency-Key": key} if key else {})


def test_an_order_becomes_a_queued_job_at_its_location(client: TestClient) -> None:
    response = place(client, (1, 5_000), (2, 1_500))
    assert response.status_code == 201
    job = client.get(response.headers["location"]).json()["job"]
    assert job == response.json()
    assert (job["state"], [item["target_mg"] for item in job["items"]]) == ("queued", [5_000, 1_500])


def test_the_same_key_again_is_the_same_job(client: TestClient) -> None:
    first, again = place(client, (1, 5_000), key="k1"), place(client, (1, 5_000), key="k1")
    assert first.json()["job"] == again.json()["job"]
    assert len(client.get("/api/v1/jobs").json()) == 1


def test_the_same_key_for_another_order_is_a_conflict(client: TestClient) -> None:
    place(client, (1, 5_000), key="k1")
    response = place(client, (1, 6_000), key="k1")
    assert (response.status_code, response.json()["code"]) == (409, "key_reused")


def test_an_order_that_does_not_fit_names_the_flask_and_orders_nothing(client: TestClient) -> None:
    response = place(client, (1, 1_000), (3, 2_001))
    assert response.status_code == 409
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert (problem["code"], problem["status"]) == ("not_enough_stock", 409)
    assert "Smoked paprika" in problem["detail"]
    assert client.get("/api/v1/jobs").json() == []
    assert all(flask["reserved_mg"] == 0 for flask in client.get("/api/v1/stock").json())


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"device": "line-1"},
        {"device": "line-1", "items": []},
        {"device": "line-1", "items": [{"flask": 1, "target_mg": "5"}]},
        {"device": "line-1", "items": [{"flask": 1, "target_mg": 1.5}]},
        {"device": "line-1", "items": [{"flask": 1, "target_mg": 0}]},
        {"device": "line-1", "items": [{"flask": True, "target_mg": 5}]},
        {"device": "line-1", "items": [{"flask": 1, "target_mg": 5}], "now": True},
    ],
)
def test_a_body_that_is_no_order_is_a_422_problem_that_says_where(client: TestClient, body: dict[str, Any]) -> None:
    response = client.post("/api/v1/jobs", json=body)
    assert (response.status_code, response.headers["content-type"]) == (422, "application/problem+json")
    assert "body" in response.json()["detail"]


def test_an_unknown_dispenser_or_job_is_a_404_problem(client: TestClient) -> None:
    assert place(client, (1, 1), device="line-9").json()["code"] == "unknown_dispenser"
    assert client.post("/api/v1/jobs/nothing/cancel").json()["status"] == 404
    assert client.post("/api/v1/jobs/nothing/retry").status_code == 404


def test_a_waiting_job_is_cancelled_at_once_and_only_once(client: TestClient) -> None:
    job = place(client, (1, 5_000)).json()["job"]
    assert client.post(f"/api/v1/jobs/{job}/cancel").json()["state"] == "cancelled"
    assert client.post(f"/api/v1/jobs/{job}/cancel").status_code == 409


def test_a_running_job_is_asked_to_stop_and_ends_when_the_dispenser_says_so(house: House, client: TestClient) -> None:
    job = place(client, (1, 5_000), (2, 1_000)).json()["job"]
    offer = house.offer()
    house.accept("line-1", offer)
    view = client.post(f"/api/v1/jobs/{job}/cancel").json()
    assert (view["state"], view["cancel_requested_at_ms"]) == ("running", house.at_ms)
    house.at_ms += 1
    assert house.cancel().job == job
    house.complete("line-1", offer, ("done", None), ("skipped", "cancelled"))
    assert house.job(job).state == "done_partial"


def test_a_retry_orders_only_what_was_not_dispensed(house: House, client: TestClient) -> None:
    job = place(client, (1, 5_000), (2, 1_000)).json()["job"]
    offer = house.offer()
    house.accept("line-1", offer)
    assert client.post(f"/api/v1/jobs/{job}/retry").json()["code"] == "still_open"
    house.complete("line-1", offer, ("done", None), ("failed", "jammed"))
    response = client.post(f"/api/v1/jobs/{job}/retry")
    assert response.status_code == 201
    retry = response.json()
    assert (retry["retry_of"], [(i["flask"], i["target_mg"]) for i in retry["items"]]) == (job, [(2, 1_000)])
