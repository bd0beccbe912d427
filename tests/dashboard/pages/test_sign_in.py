"""The one-time link."""

from dashboard.security import SESSION_COOKIE
from tests.dashboard.house import LINK_MS, House


def test_opening_a_link_does_not_use_it_up(house: House) -> None:
    client, link = house.client(signed_in=False), house.link()
    for _ in range(3):
        page = client.get(link)
        assert page.status_code == 200
        assert not page.cookies
    assert client.post(link).status_code == 303


def test_the_button_signs_in_with_a_cookie_that_scripts_and_other_sites_cannot_use(house: House) -> None:
    client = house.client(signed_in=False)
    response = client.post(house.link())
    assert (response.status_code, response.headers["location"]) == (303, "/")
    cookie = response.headers["set-cookie"]
    assert cookie.startswith(f"{SESSION_COOKIE}=")
    for attribute in ("HttpOnly", "SameSite=strict", "Path=/"):
        assert attribute.lower() in cookie.lower()
    assert client.get("/").status_code == 200


def test_a_link_works_once(house: House) -> None:
    link = house.link()
    assert house.client(signed_in=False).post(link).status_code == 303
    again = house.client(signed_in=False).post(link)
    assert again.status_code == 410
    assert not again.cookies
    assert "pitada link" in again.text


def test_a_link_ends_with_its_time_and_a_made_up_one_never_worked(house: House) -> None:
    link = house.link()
    house.at_ms += LINK_MS + 1
    assert house.client(signed_in=False).post(link).status_code == 410
    assert house.client(signed_in=False).post("/sign-in/made-up").status_code == 410


def test_signing_out_ends_the_session_everywhere_the_cookie_went(house: House) -> None:
    client = house.client()
    stolen = dict(client.cookies)
    assert client.post("/sign-out").status_code == 303
    thief = house.client(signed_in=False)
    thief.cookies.update(stolen)
    assert thief.get("/").status_code == 401


def test_a_cookie_is_for_encrypted_connections_when_told_so(house: House) -> None:
    from dataclasses import replace

    house.app.state.dashboard = replace(house.app.state.dashboard, public_url="https://pitada.example")
    assert "secure" in house.client(signed_in=False).post(house.link()).headers["set-cookie"].lower()
