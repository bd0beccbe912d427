"""Presence of dispensers that come over HTTP: no last will tells that one is gone, so silence does."""

from collections.abc import Sequence
from functools import cache

from sqlalchemy import BigInteger, ColumnElement, Connection, Select, String, Update, and_, bindparam, select, update

from protocol.limits import KEEPALIVE_S
from protocol.messages import ResendCompletions
from services.ledger import tables
from services.ledger.jobs_sql import constant

# As long as a dead dispenser can look alive over MQTT.
SILENCE_MS = KEEPALIVE_S * 1500

_DEVICE = tables.device.c


def came(tx: Connection, device: str, boot: int, connection: int, now_ms: int) -> bool:
    """The dispenser reported itself over HTTP. False: the ledger has it offline, or under newer numbers."""
    named = {"of_device": device, "of_boot": boot, "of_connection": connection}
    polled = {"polled_at_ms": now_ms, "polled_boot": boot, "polled_connection": connection}
    return tx.execute(_put_named(), {**named, **polled}).rowcount == 1


def came_again(tx: Connection, device: str, now_ms: int) -> bool:
    """It asked for something under the connection that it reported. False: it has to report itself first."""
    return tx.execute(_put_polled(), {"of_device": device, "polled_at_ms": now_ms}).rowcount == 1


def silent(now_ms: ColumnElement[int] | int) -> Select[str]:
    """The dispensers that did not come for `SILENCE_MS`."""
    return select(_DEVICE.device).where(_is_polled(), _DEVICE.polled_at_ms <= now_ms - constant(SILENCE_MS))


def end_silent(tx: Connection, devices: Sequence[str], now_ms: int) -> None:
    """Those of them that are silent are offline. They are held."""
    tx.execute(_end_silent(), {"devices": devices, "now_ms": now_ms})


def resend(tx: Connection, device: str) -> ResendCompletions | None:
    """What it should send again, while a restored ledger waits for that."""
    from_seq = tx.execute(_lost_from(), {"of_device": device}).scalar()
    return None if from_seq is None else ResendCompletions(from_seq=from_seq)


def _is_polled() -> ColumnElement[bool]:
    """Online, and by HTTP: since it came over MQTT it would have newer numbers."""
    return and_(_DEVICE.online, _DEVICE.boot == _DEVICE.polled_boot, _DEVICE.connection == _DEVICE.polled_connection)


# Each is made once: making it takes longer than running it. The columns to set are given with the others.
@cache
def _put_named() -> Update:
    """The dispenser, if it is online under these numbers."""
    same = and_(_DEVICE.boot == bindparam("of_boot"), _DEVICE.connection == bindparam("of_connection"))
    return update(tables.device).where(_DEVICE.device == bindparam("of_device"), _DEVICE.online, same)


@cache
def _put_polled() -> Update:
    return update(tables.device).where(_DEVICE.device == bindparam("of_device"), _is_polled())


@cache
def _end_silent() -> Update:
    of_these = _DEVICE.device.in_(bindparam("devices", type_=String(), expanding=True))
    are_silent = _DEVICE.device.in_(silent(bindparam("now_ms", type_=BigInteger())))
    return update(tables.device).where(of_these, are_silent).values(online=False)


@cache
def _lost_from() -> Select[int | None]:
    return select(_DEVICE.lost_from_seq).where(_DEVICE.device == bindparam("of_device"), _DEVICE.resend_left > 0)
