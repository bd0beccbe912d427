"""The radio: what the dispenser hears, and what the broker sees."""

import asyncio
import ssl
import subprocess
from pathlib import Path

import pytest

from simulators.wifi import MAX_SILENT, Network, Wifi
from tests.simulators.conftest import DEADLINE_S, Peer, Stream


class Ear:
    """Notes what the radio tells."""

    def __init__(self, peer: Peer) -> None:
        self.heard: list[str] = []
        self.data = b""
        self._signal = peer.signal

    def linked(self) -> None:
        self._note("linked")

    def signed_in(self) -> None:
        self._note("signed_in")

    def received(self, data: bytes) -> None:
        self.data += data
        self._signal.happened()

    def lost(self, reason: str, by_broker: bool) -> None:
        self._note(f"lost by the broker: {reason}" if by_broker else f"lost: {reason}")

    def _note(self, what: str) -> None:
        self.heard.append(what)
        self._signal.happened()


async def connected(peer: Peer) -> tuple[Wifi, Ear]:
    ear = Ear(peer)
    wifi = Wifi(peer.network, ear)
    wifi.connect()
    await peer.signal.until(lambda: "signed_in" in ear.heard)
    return wifi, ear


async def test_a_stream_opens_carries_bytes_both_ways_and_is_signed_in_by_the_brokers_yes(peer: Peer) -> None:
    wifi, ear = await connected(peer)
    assert ear.heard == ["linked", "signed_in"]
    assert wifi.online
    wifi.send(b"hello")
    await peer.signal.until(lambda: peer.streams[0].received == b"hello")
    await wifi.close()


async def test_a_broker_that_says_no_signs_nobody_in(peer: Peer) -> None:
    peer.greeting = b"\x20\x02\x00\x05"
    ear = Ear(peer)
    wifi = Wifi(peer.network, ear)
    wifi.connect()
    await peer.signal.until(lambda: ear.data == peer.greeting)
    assert ear.heard == ["linked"]
    assert not wifi.online
    await wifi.close()


async def test_a_yes_in_two_portions_counts(peer: Peer) -> None:
    peer.greeting = b"\x20"
    ear = Ear(peer)
    wifi = Wifi(peer.network, ear)
    wifi.connect()
    await peer.signal.until(lambda: ear.data == b"\x20")
    peer.streams[0].write(b"\x02\x00\x00\xd0\x00")
    await peer.signal.until(lambda: wifi.online)
    await wifi.close()


async def test_a_closed_port_is_a_lost_link_that_names_the_address(peer: Peer) -> None:
    ear = Ear(peer)
    wifi = Wifi(Network("127.0.0.1", 1), ear)
    wifi.connect()
    await peer.signal.until(lambda: bool(ear.heard))
    assert ear.heard[0].startswith("lost: 127.0.0.1:1: ")


async def test_the_broker_closing_the_stream_is_a_lost_link(peer: Peer) -> None:
    wifi, ear = await connected(peer)
    peer.streams[0].close()
    await peer.signal.until(lambda: ear.heard[-1] == "lost by the broker: the broker closed the stream")
    assert not wifi.online


async def test_a_disconnect_resets_the_stream_and_is_not_answered(peer: Peer) -> None:
    wifi, ear = await connected(peer)
    wifi.disconnect()
    await peer.signal.until(lambda: peer.streams[0].ended)
    assert ear.heard == ["linked", "signed_in"]


async def test_a_disconnect_while_connecting_leaves_no_stream(peer: Peer) -> None:
    ear = Ear(peer)
    wifi = Wifi(peer.network, ear)
    wifi.connect()
    wifi.disconnect()
    wifi.connect()
    await peer.signal.until(lambda: "signed_in" in ear.heard)
    assert ear.heard.count("linked") == 1
    await wifi.close()
    await peer.signal.until(lambda: all(stream.ended for stream in peer.streams))


async def test_while_wifi_is_down_no_stream_opens_and_after_that_one_does(peer: Peer) -> None:
    wifi, ear = await connected(peer)
    loop = asyncio.get_running_loop()
    wifi.drop(for_ms=80)
    back_at = loop.time() + 0.08
    await peer.signal.until(lambda: ear.heard[-1] == "lost: Wi-Fi went away" and peer.streams[0].ended)
    wifi.connect()
    await peer.signal.until(lambda: ear.heard[-1] == "lost: Wi-Fi is down")
    loop.call_at(back_at, wifi.connect)
    await peer.signal.until(lambda: wifi.online)
    assert loop.time() >= back_at
    await wifi.close()


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate of the loopback address, signed by itself, and its key."""
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1"]
    names = ["-subj", "/CN=broker", "-addext", "subjectAltName=IP:127.0.0.1"]
    command = ["openssl", "req", "-x509", *kind, *names, "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    return certificate, key


@pytest.mark.parametrize("trusted", [True, False])
async def test_over_tls_only_a_trusted_broker_is_talked_to(
    peer: Peer, certificate: tuple[Path, Path], trusted: bool
) -> None:
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    serving.load_cert_chain(*certificate)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Stream(peer), "127.0.0.1", 0, ssl=serving)
    trusting = ssl.create_default_context(cafile=str(certificate[0]) if trusted else None)
    ear = Ear(peer)
    wifi = Wifi(Network("127.0.0.1", server.sockets[0].getsockname()[1], trusting), ear)
    wifi.connect()
    await peer.signal.until(lambda: bool(ear.heard))
    if trusted:
        wifi.send(b"secret")
        await peer.signal.until(lambda: wifi.online and peer.streams[0].received == b"secret")
    else:
        assert "CERTIFICATE_VERIFY_FAILED" in ear.heard[0]
    await wifi.close()
    server.close()
    await server.wait_closed()


async def test_a_half_open_stream_passes_nothing_and_tells_nobody(peer: Peer) -> None:
    wifi, ear = await connected(peer)
    wifi.send(b"before")
    await peer.signal.until(lambda: peer.streams[0].received == b"before")
    wifi.half_open()
    wifi.send(b"after")
    peer.streams[0].write(b"to nobody")
    wifi.disconnect()
    wifi.connect()
    await peer.signal.until(lambda: wifi.online)
    assert peer.streams[0].received == b"before"
    assert not peer.streams[0].ended
    assert ear.data.count(b"to nobody") == 0
    assert ear.heard == ["linked", "signed_in", "linked", "signed_in"]
    await wifi.close()
    await peer.signal.until(lambda: all(stream.ended for stream in peer.streams))


async def test_the_broker_closing_a_half_open_stream_is_not_heard(peer: Peer) -> None:
    wifi, ear = await connected(peer)
    wifi.half_open()
    peer.streams[0].close()
    async with asyncio.timeout(DEADLINE_S):
        while wifi.sockets:  # nobody is told, which is what this shows, so there is nothing to wait on
            await asyncio.sleep(0)
    assert ear.heard == ["linked", "signed_in"]


async def test_silent_streams_are_bounded(peer: Peer) -> None:
    wifi, ear = await connected(peer)
    for number in range(MAX_SILENT + 2):
        wifi.power_off()
        wifi.connect()
        await peer.signal.until(lambda wanted=number + 2: ear.heard.count("signed_in") == wanted)  # type: ignore[misc]  # a default binds the loop's number
    await peer.signal.until(lambda: sum(not stream.ended for stream in peer.streams) == MAX_SILENT)
    await wifi.close()


async def test_held_bytes_leave_later_and_in_order(peer: Peer) -> None:
    wifi, _ear = await connected(peer)
    loop = asyncio.get_running_loop()
    wifi.hold(60)
    held_until = loop.time() + 0.06
    wifi.send(b"one ")
    wifi.send(b"two")
    await peer.signal.until(lambda: peer.streams[0].received == b"one two")
    assert loop.time() >= held_until - 0.001
    wifi.send(b" three")
    await peer.signal.until(lambda: peer.streams[0].received == b"one two three")
    await wifi.close()


async def test_closing_leaves_no_socket_and_no_task(peer: Peer) -> None:
    wifi, _ear = await connected(peer)
    wifi.power_off()
    wifi.connect()
    await wifi.close()
    await peer.signal.until(lambda: all(stream.ended for stream in peer.streams))
    assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []
