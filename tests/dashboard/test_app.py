"""What holds for every page and every call."""

import re

import pytest
from starlette.testclient import TestClient

from dashboard.rendering import environment
from tests.dashboard.house import House

PAGES = ["/", "/jobs", "/order", "/order/line-1", "/stock"]
READS = ["dispensers", "jobs", "stock", "movements", "dead-letters"]


@pytest.mark.parametrize("page", [*PAGES, "/jobs/job-0001"])
def test_a_page_without_a_session_says_how_to_sign_in(house: House, page: str) -> None:
    response = house.client(signed_in=False).get(page)
    assert response.status_code == 401
    assert "pitada link" in response.text
    assert "Sea salt" not in response.text


@pytest.mark.parametrize("read", [*READS, "jobs/job-0001"])
def test_a_call_without_a_session_is_a_401_problem(house: House, read: str) -> None:
    response = house.client(signed_in=False).get(f"/api/v1/{read}")
    assert response.status_code == 401
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["code"] == "not_signed_in"


@pytest.mark.parametrize(
    "path", ["/api/v1/jobs", "/api/v1/jobs/x/cancel", "/jobs/x/stop", "/order/line-1", "/stock/line-1/1"]
)
def test_a_change_without_a_session_is_refused(house: House, path: str) -> None:
    assert house.client(signed_in=False).post(path).status_code in (401, 422)
    assert house.client(signed_in=False).post(path, data={"kind": "refill", "grams": "1"}).status_code in (401, 422)


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://pitada.test:99"])
@pytest.mark.parametrize("path", ["/api/v1/jobs", "/order/line-1", "/sign-out"])
def test_a_change_asked_for_by_another_site_is_refused(client: TestClient, path: str, origin: str) -> None:
    response = client.post(path, headers={"origin": origin})
    assert response.status_code == 403
    assert response.json()["code"] == "cross_origin"


@pytest.mark.parametrize("page", [*PAGES, "/api/v1/jobs", "/static/css/base.css", "/nothing", "/healthz"])
def test_every_response_carries_the_security_headers(client: TestClient, page: str) -> None:
    headers = client.get(page).headers
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert ("no-store" in headers.get("cache-control", "")) is not page.startswith("/static/")


@pytest.mark.parametrize("page", PAGES)
def test_every_page_has_one_heading_a_title_and_no_script_in_it(client: TestClient, page: str) -> None:
    text = client.get(page).text
    assert len(re.findall(r"<h1[ >]", text)) == 1
    assert re.search(r"<title>\S.*</title>", text)
    assert re.findall(r"<script[^>]*>", text) == ['<script type="module" src="/static/js/main.js">']
    ids = re.findall(r'\sid="([^"]+)"', text)
    assert len(ids) == len(set(ids)), "an id twice"


def test_a_page_that_is_not_there_says_so_in_the_words_of_who_asked(client: TestClient) -> None:
    assert "There is no such page" in client.get("/nothing").text
    response = client.get("/api/v1/nothing")
    assert (response.status_code, response.headers["content-type"]) == (404, "application/problem+json")


def test_an_error_of_ours_is_a_problem_without_its_insides(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    client = house.client()

    def broken() -> int:
        raise RuntimeError("the secret is 42")

    monkeypatch.setattr(house.feed, "job_changed", broken)
    response = client.post("/api/v1/jobs", json={"device": "line-1", "items": [{"flask": 1, "target_mg": 1}]})
    assert (response.status_code, response.json()["code"]) == (500, "internal")
    assert "42" not in response.text
    assert "content-security-policy" in response.headers


def test_while_the_database_is_away_who_asks_is_told_to_try_again_and_the_next_answer_is_right(house: House) -> None:
    client = house.client()
    with house.without_database():
        call, page = client.get("/api/v1/stock"), client.get("/stock")
    assert (call.status_code, page.status_code) == (503, 503)
    assert (call.headers["content-type"], call.json()["code"]) == ("application/problem+json", "database_unavailable")
    assert "The database does not answer" in page.text
    for response in (call, page):
        assert int(response.headers["retry-after"]) > 0
        assert "content-security-policy" in response.headers
    assert client.get("/api/v1/stock").json()


def test_nothing_is_made_at_import_and_two_apps_share_nothing(house: House) -> None:
    assert environment() is not environment()
    assert house.app.state.templates is not environment()
