"""Presence over HTTP: it comes with a status, stays with each request, and ends with silence."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection

from services.ledger import polling
from services.ledger.polling import SILENCE_MS


def within(kitchen: Any, change: Callable[[Connection], Any]) -> Any:
    with kitchen.database.write() as tx:
        return change(tx)


def online(kitchen: Any) -> bool:
    with kitchen.database.read() as tx:
        return bool(tx.exec_driver_sql("SELECT online FROM device").scalar_one())


def came(kitchen: Any, connection: int) -> Any:
    return within(kitchen, lambda tx: polling.came(tx, "mix-1", 1, connection, kitchen.now_ms))


def test_silence_ends_it_and_a_request_puts_that_off(kitchen: Any) -> None:
    kitchen.status()
    assert came(kitchen, 1)
    for _ in range(2):
        kitchen.due(after_ms=SILENCE_MS - 1)
        assert online(kitchen)
        assert within(kitchen, lambda tx: polling.came_again(tx, "mix-1", kitchen.now_ms))
    kitchen.due(after_ms=SILENCE_MS)
    assert not online(kitchen)
    assert not within(kitchen, lambda tx: polling.came_again(tx, "mix-1", kitchen.now_ms))
    assert not came(kitchen, 1)


def test_one_that_is_back_on_mqtt_does_not_end_by_silence(kitchen: Any) -> None:
    kitchen.status()
    came(kitchen, 1)
    kitchen.status(connection=2)
    kitchen.due(after_ms=2 * SILENCE_MS)
    assert online(kitchen)
    assert not within(kitchen, lambda tx: polling.came_again(tx, "mix-1", kitchen.now_ms))


def test_it_is_asked_for_lost_reports_while_they_are_waited_for(kitchen: Any) -> None:
    kitchen.status()
    assert within(kitchen, lambda tx: polling.resend(tx, "mix-1")) is None
    kitchen.status(last_seq=2)
    assert within(kitchen, lambda tx: polling.resend(tx, "mix-1")).from_seq == 1
