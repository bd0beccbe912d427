"""The stock page: refill, count, movements."""

from starlette.testclient import TestClient

from tests.dashboard.house import House


def test_it_shows_levels_reservations_and_movements(client: TestClient) -> None:
    client.post("/api/v1/jobs", json={"device": "line-1", "items": [{"flask": 1, "target_mg": 30_000}]})
    text = client.get("/stock").text
    for words in ("Sea salt", "100 g", "30 g", "70 g", "200 g", "Refilled", "+400 g"):
        assert words in text


def test_a_refill_and_a_count_move_the_ledger(house: House, client: TestClient) -> None:
    assert client.post("/stock/line-1/3", data={"kind": "refill", "grams": "20"}).status_code == 303
    assert client.post("/stock/line-1/3", data={"kind": "count", "grams": "21.5"}).status_code == 303
    stock = {flask["flask"]: flask["stock_mg"] for flask in client.get("/api/v1/stock").json()[:3]}
    assert stock[3] == 21_500
    movements = client.get("/api/v1/movements?device=line-1&flask=3").json()
    assert [(m["kind"], m["delta_mg"]) for m in movements[:2]] == [("count", -500), ("refill", 20_000)]


def test_an_empty_flask_can_be_counted(client: TestClient) -> None:
    assert client.post("/stock/line-1/3", data={"kind": "count", "grams": "0"}).status_code == 303
    assert "Empty" in client.get("/stock").text


def test_what_cannot_be_read_moves_nothing_and_says_why(client: TestClient) -> None:
    for kind, grams in (("refill", "0"), ("refill", "-5"), ("count", ""), ("count", "some")):
        response = client.post("/stock/line-1/1", data={"kind": kind, "grams": grams})
        assert response.status_code == 422, (kind, grams)
    assert client.get("/api/v1/stock").json()[0]["stock_mg"] == 100_000


def test_an_unknown_flask_is_refused(client: TestClient) -> None:
    assert client.post("/stock/line-1/9", data={"kind": "refill", "grams": "1"}).status_code == 404
    assert client.post("/stock/line-9/1", data={"kind": "refill", "grams": "1"}).status_code == 404


def test_negative_stock_asks_for_a_count(house: House, client: TestClient) -> None:
    client.post("/api/v1/jobs", json={"device": "line-1", "items": [{"flask": 3, "target_mg": 2_000}]})
    offer = house.offer()
    house.accept("line-1", offer)
    client.post("/stock/line-1/3", data={"kind": "count", "grams": "1"})
    house.complete("line-1", offer, ("done", None))
    text = client.get("/stock").text
    assert "Needs a count" in text.split("<template")[0]
