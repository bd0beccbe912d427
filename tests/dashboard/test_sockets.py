"""The WebSockets: who may listen, what they hear."""

import pytest
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from dashboard.sockets import NO_SUCH_JOB, NOT_SIGNED_IN, OTHER_SITE, TRY_LATER
from tests.dashboard.house import HOST, House

ORIGIN = {"origin": HOST}
WS = HOST.replace("http", "ws")  # the client takes the Host header from here


def closed_with(client: TestClient, path: str, headers: dict[str, str]) -> int:
    with client.websocket_connect(WS + path, headers=headers) as socket, pytest.raises(WebSocketDisconnect) as closed:
        socket.receive_json()
    return closed.value.code


def test_nobody_listens_without_a_session(house: House) -> None:
    assert closed_with(house.client(signed_in=False), "/ws/live", ORIGIN) == NOT_SIGNED_IN


@pytest.mark.parametrize("headers", [{}, {"origin": "https://evil.example"}, {"origin": "null"}])
def test_another_sites_page_cannot_listen_with_our_cookie(client: TestClient, headers: dict[str, str]) -> None:
    assert closed_with(client, "/ws/live", headers) == OTHER_SITE


def test_a_job_that_is_not_there_closes_the_socket(client: TestClient) -> None:
    assert closed_with(client, "/ws/jobs/nothing", ORIGIN) == NO_SUCH_JOB


def test_while_the_database_is_away_a_listener_is_asked_to_come_again(house: House) -> None:
    client = house.client()
    with house.without_database():
        assert closed_with(client, "/ws/live", ORIGIN) == TRY_LATER


def test_the_board_gets_a_snapshot_equal_to_a_fresh_read(client: TestClient) -> None:
    with client.websocket_connect(f"{WS}/ws/live", headers=ORIGIN) as socket:
        frame = socket.receive_json()
    stock = {f"flask/{flask['device']}/{flask['flask']}": flask for flask in client.get("/api/v1/stock").json()}
    assert frame["type"] == "snapshot"
    assert {key for key in frame["set"] if key.startswith("flask/")} == stock.keys()
    for key, flask in stock.items():
        assert frame["set"][key].items() >= {name: flask[name] for name in ("stock_mg", "available_mg")}.items()


def test_a_gap_is_answered_with_a_new_snapshot_and_silence_with_beats(client: TestClient) -> None:
    with client.websocket_connect(f"{WS}/ws/live", headers=ORIGIN) as socket:
        assert socket.receive_json()["type"] == "snapshot"
        assert socket.receive_json().keys() == {"type", "now_ms"}
        socket.send_text("beat")
        socket.send_text("snapshot")
        assert socket.receive_json()["type"] == "snapshot"
