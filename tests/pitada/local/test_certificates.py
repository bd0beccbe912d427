"""Certificates that Python's strict checks accept, for the names that were asked for and no others."""

import asyncio
import ssl
from pathlib import Path

import pytest

from pitada.local import certificates
from pitada.local.certificates import Certificates, CertificatesFailed


async def shake_hands(files: Certificates, name: str) -> None:
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    serving.load_cert_chain(files.broker, files.broker_key)
    trusting = ssl.create_default_context(cafile=str(files.authority))
    trusting.verify_flags |= ssl.VERIFY_X509_STRICT
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0, ssl=serving)
    async with server:
        port = server.sockets[0].getsockname()[1]
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusting, server_hostname=name)
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize("name", ["mosquitto", "localhost", "127.0.0.1", "broker.example.org", "192.168.7.7"])
async def test_the_broker_is_trusted_under_each_of_its_names(tmp_path: Path, name: str) -> None:
    files = certificates.make(tmp_path, ["broker.example.org", "192.168.7.7"])
    await shake_hands(files, name)


async def test_it_is_not_trusted_under_another(tmp_path: Path) -> None:
    files = certificates.make(tmp_path)
    with pytest.raises(ssl.SSLCertVerificationError):
        await shake_hands(files, "elsewhere.example.org")


async def test_a_new_certificate_is_of_the_same_authority_and_keys_are_private(tmp_path: Path) -> None:
    first = certificates.make(tmp_path).authority.read_bytes()
    files = certificates.make(tmp_path, ["new.example.org"])
    assert files.authority.read_bytes() == first
    await shake_hands(files, "new.example.org")
    assert {path.stat().st_mode & 0o777 for path in (files.authority_key, files.broker_key)} == {0o600}


def test_a_host_that_would_change_the_request_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CertificatesFailed, match="neither a host name"):
        certificates.make(tmp_path, ["a\nbasicConstraints=CA:TRUE"])
    assert not list(tmp_path.iterdir())


def test_a_missing_openssl_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(CertificatesFailed, match="openssl is not installed"):
        certificates.make(tmp_path)
