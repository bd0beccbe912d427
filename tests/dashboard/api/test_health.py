"""The health check."""

from tests.dashboard.house import House


def test_anybody_may_ask_whether_it_answers_and_learns_nothing_else(house: House) -> None:
    response = house.client(signed_in=False).get("/healthz")
    assert (response.status_code, response.json()) == (200, {"status": "ok", "services": {}})
