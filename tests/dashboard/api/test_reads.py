"""The lists over REST."""

from starlette.testclient import TestClient

from protocol import topics
from tests.dashboard.api.test_jobs import place
from tests.dashboard.house import House


def test_dispensers_and_stock_are_what_the_ledger_holds(client: TestClient) -> None:
    dispensers = client.get("/api/v1/dispensers").json()
    assert [dispenser["device"] for dispenser in dispensers] == ["line-1", "line-2"]
    assert dispensers[0]["flasks"] == client.get("/api/v1/stock").json()[:3]


def test_jobs_page_back_by_the_last_id_without_losing_or_repeating_one(house: House, client: TestClient) -> None:
    placed = []
    for _ in range(5):
        house.at_ms += 1
        placed.append(place(client, (1, 1_000)).json()["job"])
    seen: list[str] = []
    while page := client.get("/api/v1/jobs", params={"limit": 2, **({"before": seen[-1]} if seen else {})}).json():
        seen += [job["job"] for job in page]
    assert seen == placed[::-1]


def test_jobs_can_be_of_one_dispenser(client: TestClient) -> None:
    place(client, (1, 1_000))
    other = place(client, (1, 1_000), device="line-2").json()["job"]
    assert [job["job"] for job in client.get("/api/v1/jobs?device=line-2").json()] == [other]


def test_a_job_comes_with_its_execution_log(house: House, client: TestClient) -> None:
    job = place(client, (1, 1_000)).json()["job"]
    offer = house.offer()
    house.accept("line-1", offer)
    house.progress("line-1", offer, 0, "dispensing")
    house.complete("line-1", offer, ("done", None))
    detail = client.get(f"/api/v1/jobs/{job}").json()
    assert detail["job"]["state"] == "done"
    steps = [(flip["item"], flip["to_state"]) for flip in detail["flips"]]
    assert set(steps) >= {(None, "offered"), (None, "running"), (0, "dispensing"), (0, "done"), (None, "done")}


def test_movements_are_of_one_flask_when_asked(house: House, client: TestClient) -> None:
    found = client.get("/api/v1/movements", params={"device": "line-1", "flask": 2}).json()
    assert [(movement["kind"], movement["delta_mg"]) for movement in found] == [("refill", 50_000)]


def test_a_message_that_changed_nothing_is_listed_with_its_reason(house: House, client: TestClient) -> None:
    house.say((topics.STATUS.topic("line-1"), b"{not json"))
    [letter] = client.get("/api/v1/dead-letters").json()
    assert letter["topic"] == "pitada/v1/line-1/status"
    assert letter["reason"]


def test_a_limit_out_of_bounds_is_refused(client: TestClient) -> None:
    for limit in (0, 201):
        assert client.get("/api/v1/jobs", params={"limit": limit}).status_code == 422
