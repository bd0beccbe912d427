"""The order form as a plain form."""

import re

from starlette.testclient import TestClient

from tests.dashboard.house import House


def test_the_form_orders_and_leads_to_the_job(house: House, client: TestClient) -> None:
    form = client.get("/order/line-1").text
    key = re.search(r'name="key" value="([^"]+)"', form)
    assert key is not None
    data = {"key": key.group(1), "flask-1": "12.5", "flask-2": "", "flask-3": "0,25"}
    response = client.post("/order/line-1", data=data)
    assert response.status_code == 303
    job = house.job(response.headers["location"].removeprefix("/jobs/"))
    assert [(item.flask, item.target_mg) for item in job.items] == [(1, 12_500), (3, 250)]
    assert client.post("/order/line-1", data=data).headers["location"] == response.headers["location"]
    assert len(client.get("/api/v1/jobs").json()) == 1, "sent twice, ordered once"


def test_what_does_not_fit_comes_back_with_what_was_typed(client: TestClient) -> None:
    response = client.post("/order/line-1", data={"key": "k", "flask-1": "1", "flask-3": "3"})
    assert response.status_code == 422
    assert "2 g available, the order wants 3 g" in response.text
    assert 'value="3"' in response.text
    assert client.get("/api/v1/jobs").json() == []


def test_what_cannot_be_read_is_refused_beside_its_flask(client: TestClient) -> None:
    response = client.post("/order/line-1", data={"key": "k", "flask-1": "lots", "flask-2": "1.500"})
    assert response.status_code == 422
    assert "is not an amount" in response.text
    assert "can mean" in response.text


def test_an_order_of_nothing_says_what_to_write(client: TestClient) -> None:
    for data in ({"key": "k"}, {"key": "k", "flask-1": "0"}):
        response = client.post("/order/line-1", data=data)
        assert response.status_code == 422
        assert "Write grams" in response.text


def test_an_unknown_dispenser_has_no_form(client: TestClient) -> None:
    assert client.get("/order/line-9").status_code == 404


def test_with_several_dispensers_one_is_chosen_first(client: TestClient) -> None:
    text = client.get("/order").text
    assert "/order/line-1" in text
    assert "/order/line-2" in text


def test_what_is_typed_is_never_markup(client: TestClient) -> None:
    response = client.post("/order/line-1", data={"key": '"><script>', "flask-1": '"><b>x'})
    assert "<script>" not in response.text.replace('<script type="module"', "")
    assert "<b>x" not in response.text


def save(client: TestClient, name: str, ingredient: str) -> None:
    items = [{"ingredient": ingredient, "amount_mg": 1_000}]
    assert client.post("/api/v1/recipes", json={"name": name, "items": items}).status_code == 201


def recipe_form(client: TestClient, **values: str) -> dict[str, str]:
    key = re.search(r'recipe#by-recipe".*?name="key" value="([^"]+)"', client.get("/order/line-1").text, re.DOTALL)
    assert key is not None
    return {"key": key.group(1), "recipe": "Brine", "size": "1", "unit": "times", **values}


def test_a_recipe_is_ordered_so_many_times_or_by_weight(house: House, client: TestClient) -> None:
    assert "By recipe" not in client.get("/order/line-1").text, "not before there is one"
    save(client, "Brine", "sea SALT")
    for values, target_mg in (({"size": "2,5"}, 2_500), ({"size": "12 g", "unit": "grams"}, 12_000)):
        data = recipe_form(client, **values)
        response = client.post("/order/line-1/recipe", data=data)
        assert response.status_code == 303
        job = house.job(response.headers["location"].removeprefix("/jobs/"))
        assert [(item.flask, item.target_mg) for item in job.items] == [(1, target_mg)]
        assert client.post("/order/line-1/recipe", data=data).headers["location"] == response.headers["location"]
    assert "by weight" in client.get(f"/jobs/{job.job}").text


def test_a_recipe_that_cannot_be_made_comes_back_with_what_was_chosen(client: TestClient) -> None:
    save(client, "Brine", "Sea salt")
    save(client, "Syrup", "Sugar")
    refusals = [
        ({"recipe": "Syrup"}, "No flask of line-1 holds Sugar"),
        ({"size": "lots"}, "is not an amount"),
        ({"size": ""}, "How many times"),
        ({"size": "0"}, "how many times"),
        ({"size": "900", "unit": "grams"}, "available"),
        ({"recipe": "Cake"}, "no recipe"),
    ]
    for values, words in refusals:
        response = client.post("/order/line-1/recipe", data=recipe_form(client, **values))
        assert response.status_code == 422, values
        assert words.lower() in response.text.lower(), values
    chosen = client.post("/order/line-1/recipe", data=recipe_form(client, recipe="Syrup", unit="grams")).text
    assert '<option value="Syrup" selected>' in chosen
    assert '<option value="grams" selected>' in chosen
    assert client.get("/api/v1/jobs").json() == []
    assert client.post("/order/line-9/recipe", data=recipe_form(client)).status_code == 404
