"""Who may ask for a change."""

import pytest

from dashboard.security import asked_by_us, own_origin

HOST = {"host": "pitada.local:8000"}


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({}, True),  # a program, not a browser: those send one of the two headers with every change
        ({"sec-fetch-site": "same-origin"}, True),
        ({"sec-fetch-site": "none"}, True),
        ({"sec-fetch-site": "same-site"}, False),
        ({"sec-fetch-site": "cross-site", "origin": "http://pitada.local:8000"}, False),
        ({"origin": "http://pitada.local:8000"}, True),
        ({"origin": "http://pitada.local:8001"}, False),
        ({"origin": "https://evil.example"}, False),
        ({"origin": "null"}, False),
        ({"origin": "https://pitada.example"}, True),
    ],
)
def test_only_our_own_pages_and_programs_may_change_things(headers: dict[str, str], allowed: bool) -> None:
    assert asked_by_us(HOST | headers, "https://pitada.example") is allowed


def test_a_socket_must_name_its_origin() -> None:
    assert own_origin(HOST | {"origin": "http://pitada.local:8000"}, None)
    assert not own_origin(HOST, None)
    assert not own_origin(HOST | {"origin": "null"}, None)
    assert not own_origin({"origin": ""}, None)
