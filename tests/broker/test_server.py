"""Starting and stopping the embedded broker."""

import socket
from pathlib import Path

import pytest

from broker.server import BrokerNotStarted, EmbeddedBroker
from broker.store import StoreBroken
from tests.broker.conftest import Face, authenticate

STATUS = "pitada/v1/dev-a/status"


async def test_retained_messages_survive_a_restart(tmp_path: Path) -> None:
    store = tmp_path / "retained.db"
    async with EmbeddedBroker(authenticate=authenticate, store_path=store) as first:
        device = await Face("embedded", first.host, first.port).client("dev-a")
        await device.publish(STATUS, b"\x00binary", retain=True)
        await device.publish("pitada/v1/dev-a/flask/1/progress", b"cleared", retain=True)
        await device.publish("pitada/v1/dev-a/flask/1/progress", b"", retain=True)
        await device.leave()
        await device.drop()

    async with EmbeddedBroker(authenticate=authenticate, store_path=store) as second:
        ingest = await Face("embedded", second.host, second.port).client("svc_ingest")
        await ingest.subscribe(("pitada/v1/+/status", 1))
        message = await ingest.message()

        assert (message.topic, message.payload, message.retain) == (STATUS, b"\x00binary", True)
        assert second.retained_count == 1
        await ingest.drop()


async def test_it_listens_on_loopback_unless_told_otherwise() -> None:
    async with EmbeddedBroker(authenticate=authenticate) as running:
        assert running.host == "127.0.0.1"
        assert running.port > 0


async def test_a_port_in_use_is_named_and_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]

        with pytest.raises(BrokerNotStarted, match=f"port {port} .*choose another port"):
            await EmbeddedBroker(port=port, authenticate=authenticate).start()


async def test_a_broken_file_of_retained_messages_stops_the_start(tmp_path: Path) -> None:
    store = tmp_path / "retained.db"
    store.write_bytes(b"not a database" * 100)

    with pytest.raises(StoreBroken, match="Move it away"):
        await EmbeddedBroker(authenticate=authenticate, store_path=store).start()


async def test_it_cannot_be_started_twice_and_can_be_stopped_twice() -> None:
    broker = EmbeddedBroker(authenticate=authenticate)
    with pytest.raises(BrokerNotStarted, match="before it is started"):
        _ = broker.port
    await broker.start()
    with pytest.raises(BrokerNotStarted, match="running already"):
        await broker.start()

    await broker.stop()
    await broker.stop()


async def test_counters_show_what_was_dropped_and_forbidden() -> None:
    async with EmbeddedBroker(authenticate=authenticate) as running:
        device = await Face("embedded", running.host, running.port).client("dev-a")
        await device.publish("pitada/v1/dev-b/status", b"forged")
        await device.subscribe(("#", 1))

        values = running.counters.values()
        assert (values["forbidden_publishes"], values["forbidden_subscriptions"], values["received"]) == (1, 1, 0)
        await device.drop()
