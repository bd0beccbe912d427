"""Presence of dispensers that come over HTTP: no last will tells that one is gone, so silence does."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, Select, and_, select, update

from protocol.limits import KEEPALIVE_S
from protocol.messages import ResendCompletions
from services.ledger import tables

# As long as a dead dispenser can look alive over MQTT.
SILENCE_MS = KEEPALIVE_S * 1500

_DEVICE = tables.device.c


def came(tx: Connection, device: str, boot: int, connection: int, now_ms: int) -> bool:
    """The dispenser reported itself over HTTP. False: the ledger has it offline, or under newer numbers."""
    table = tables.device
    here = update(table).where(
        _DEVICE.device == device, _DEVICE.online, _DEVICE.boot == boot, _DEVICE.connection == connection
    )
    done = tx.execute(here.values(polled_at_ms=now_ms, polled_boot=boot, polled_connection=connection))
    return done.rowcount == 1


def came_again(tx: Connection, device: str, now_ms: int) -> bool:
    """It asked for something under the connection that it reported. False: it has to report itself first."""
    here = update(tables.device).where(_DEVICE.device == device, _is_polled())
    return tx.execute(here.values(polled_at_ms=now_ms)).rowcount == 1


def silent(now_ms: ColumnElement[int] | int) -> Select[str]:
    """The dispensers that did not come for `SILENCE_MS`."""
    return select(_DEVICE.device).where(_is_polled(), _DEVICE.polled_at_ms <= now_ms - SILENCE_MS)


def end_silent(tx: Connection, devices: Sequence[str], now_ms: int) -> None:
    """Those of them that are silent are offline. They are held."""
    ended = update(tables.device).where(_DEVICE.device.in_(devices), _DEVICE.device.in_(silent(now_ms)))
    tx.execute(ended.values(online=False))


def resend(tx: Connection, device: str) -> ResendCompletions | None:
    """What it should send again, while a restored ledger waits for that."""
    asked = select(_DEVICE.lost_from_seq).where(_DEVICE.device == device, _DEVICE.resend_left > 0)
    from_seq = tx.execute(asked).scalar()
    return None if from_seq is None else ResendCompletions(from_seq=from_seq)


def _is_polled() -> ColumnElement[bool]:
    """Online, and by HTTP: since it came over MQTT it would have newer numbers."""
    return and_(_DEVICE.online, _DEVICE.boot == _DEVICE.polled_boot, _DEVICE.connection == _DEVICE.polled_connection)
