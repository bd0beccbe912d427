"""Recipes over REST: versions as ETags, refusals as problems."""

from typing import Any

from httpx2 import Response
from starlette.testclient import TestClient

from tests.dashboard.house import House

RUB = [{"ingredient": "Sea salt", "amount_mg": 6_000}, {"ingredient": "black PEPPER", "amount_mg": 3_000}]
MILD = [{"ingredient": "Sea salt", "amount_mg": 1_000}]


def save(client: TestClient, name: str = "Rub / hot", items: list[dict[str, Any]] | None = None) -> Response:
    response: Response = client.post("/api/v1/recipes", json={"name": name, "items": items or RUB})
    return response


def test_a_saved_recipe_is_found_at_its_location_with_its_version_as_etag(client: TestClient) -> None:
    response = save(client)
    assert (response.status_code, response.headers["etag"]) == (201, '"1"')
    assert response.headers["location"] == "/api/v1/recipes/Rub%20%2F%20hot"
    found = client.get(response.headers["location"])
    assert (found.json(), found.headers["etag"]) == (response.json(), '"1"')
    assert found.json()["total_mg"] == 9_000
    assert client.get("/api/v1/recipes").json() == [found.json()]
    assert client.get("/api/v1/recipes?after=rub%20/%20hot").json() == []
    assert save(client).json()["code"] == "recipe_exists"


def test_a_change_names_the_version_that_was_read(client: TestClient) -> None:
    path = save(client).headers["location"]
    changed = client.put(path, json={"items": MILD}, headers={"If-Match": '"1"'})
    assert (changed.status_code, changed.headers["etag"], changed.json()["version"]) == (200, '"2"', 2)
    for stale in ('"1"', '"3"', 'W/"2"', "*", "2"):
        late = client.put(path, json={"items": RUB}, headers={"If-Match": stale})
        assert (late.status_code, late.headers["content-type"]) == (412, "application/problem+json")
        assert late.json()["code"] == "recipe_changed"
        assert client.delete(path, headers={"If-Match": stale}).status_code == 412
    assert client.put(path, json={"items": RUB}).json()["status"] == 428
    assert client.delete(path).status_code == 428
    assert client.get(path).json() == changed.json()


def test_a_deleted_recipe_is_gone(client: TestClient) -> None:
    path = save(client).headers["location"]
    assert client.delete(path, headers={"If-Match": '"1"'}).status_code == 204
    for gone in (client.get(path), client.delete(path, headers={"If-Match": '"1"'})):
        assert (gone.status_code, gone.json()["code"]) == (404, "unknown_recipe")
    assert save(client).headers["etag"] == '"3"'


def test_a_body_that_is_no_recipe_is_a_422_problem(client: TestClient) -> None:
    wrong: list[list[dict[str, Any]]] = [
        [],
        [{"ingredient": "x", "amount_mg": 0}],
        [{"ingredient": "x", "amount_mg": "5"}],
        [{}],
        [*MILD, *MILD],
    ]
    for items in wrong:
        response = client.post("/api/v1/recipes", json={"name": "Rub", "items": items})
        assert (response.status_code, response.headers["content-type"]) == (422, "application/problem+json")


def test_nobody_reads_or_writes_recipes_without_signing_in(house: House) -> None:
    stranger = house.client(signed_in=False)
    assert stranger.get("/api/v1/recipes").status_code == 401
    assert save(stranger).status_code == 401


def order(client: TestClient, **body: Any) -> Response:
    response: Response = client.post("/api/v1/jobs", json={"device": "line-1", "recipe": "Rub / hot", **body})
    return response


def test_an_order_by_recipe_is_resolved_to_flasks(client: TestClient) -> None:
    save(client)
    once = order(client).json()
    assert [(item["flask"], item["target_mg"]) for item in once["items"]] == [(1, 6_000), (2, 3_000)]
    assert (once["recipe"], once["recipe_version"], once["recipe_scale_milli"]) == ("Rub / hot", 1, 1000)
    assert [item["target_mg"] for item in order(client, scale=1.5).json()["items"]] == [9_000, 4_500]
    by_total = order(client, total_mg=10_000).json()
    assert [item["target_mg"] for item in by_total["items"]] == [6_667, 3_333]
    assert by_total["recipe_scale_milli"] is None


def test_the_same_key_again_orders_the_recipe_once(client: TestClient) -> None:
    save(client)
    body = {"device": "line-1", "recipe": "rub / HOT", "scale": 1}
    sent = [client.post("/api/v1/jobs", json=body, headers={"Idempotency-Key": "k"}).json()["job"] for _ in range(2)]
    assert sent[0] == sent[1]


def test_what_a_dispenser_cannot_make_is_refused_by_name(client: TestClient) -> None:
    save(client, "Sweet", [{"ingredient": "Sugar", "amount_mg": 100}])
    missing = order(client, recipe="Sweet")
    assert (missing.status_code, missing.json()["code"]) == (422, "no_flask_for")
    assert "Sugar" in missing.json()["detail"]
    save(client)
    short = order(client, scale=100)
    assert (short.status_code, short.json()["code"]) == (409, "not_enough_ingredient")
    assert "flask 1" in short.json()["detail"]
    assert order(client, recipe="Nothing").json()["code"] == "unknown_recipe"


def test_an_order_is_of_items_or_of_a_recipe_in_one_size(client: TestClient) -> None:
    save(client)
    items = [{"flask": 1, "target_mg": 5}]
    wrong: list[dict[str, Any]] = [
        {"items": items},
        {"recipe": None},
        {"recipe": None, "items": items, "scale": 2},
        {"recipe": None, "items": items, "total_mg": 2},
        {"scale": 2, "total_mg": 2},
        {"scale": 0},
        {"scale": 1001},
        {"scale": 0.0001},
        {"scale": "NaN"},
        {"total_mg": 1.5},
    ]
    for body in wrong:
        assert order(client, **body).json().get("code") == "invalid", body
