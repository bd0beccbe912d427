"""A certificate authority of one's own and the broker's certificate, made with the `openssl` program.

The program, not a library: it is on every system that has TLS at all, and is needed once a year.
"""

import ipaddress
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

# The authority's certificate is in every dispenser, so it lasts; the broker's is replaced with one command.
AUTHORITY_DAYS = 3650
BROKER_DAYS = 825

# The broker's name in docker-compose.yml, and what programs on its own machine call it.
ALWAYS = ("mosquitto", "localhost", "127.0.0.1", "::1")

# Small keys that an ESP32 checks quickly.
_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")

_HOST_NAME = re.compile(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")


class CertificatesFailed(Exception):
    """The certificates could not be made. The text says why."""


class Certificates(NamedTuple):
    """The files, by the directory that they are in."""

    directory: Path

    @property
    def authority(self) -> Path:
        """What clients trust."""
        return self.directory / "ca.crt"

    @property
    def authority_key(self) -> Path:
        """Makes certificates that every client trusts: no service needs it."""
        return self.directory / "ca.key"

    @property
    def broker(self) -> Path:
        return self.directory / "broker.crt"

    @property
    def broker_key(self) -> Path:
        return self.directory / "broker.key"


def make(directory: Path, hosts: Sequence[str] = ()) -> Certificates:
    """The authority, made where it is missing, and a new certificate for the broker at `ALWAYS` and `hosts`.

    Raises `CertificatesFailed`.
    """
    files = Certificates(directory)
    names = ",".join(_name(host) for host in dict.fromkeys((*ALWAYS, *hosts)))
    directory.mkdir(parents=True, exist_ok=True)
    if not files.authority.exists():
        _openssl(
            *("req", "-x509", *_KEY, "-keyout", files.authority_key, "-out", files.authority),
            *("-days", AUTHORITY_DAYS, "-subj", "/CN=Pitada"),
            *("-addext", "basicConstraints=critical,CA:TRUE,pathlen:0", "-addext", "keyUsage=critical,keyCertSign"),
        )
        files.authority_key.chmod(0o600)
    with tempfile.TemporaryDirectory() as scratch:
        request, extensions = Path(scratch) / "broker.csr", Path(scratch) / "extensions"
        extensions.write_text(
            f"subjectAltName={names}\nbasicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n"
            "extendedKeyUsage=serverAuth\nauthorityKeyIdentifier=keyid\nsubjectKeyIdentifier=hash\n"
        )
        _openssl("req", "-new", *_KEY, "-keyout", files.broker_key, "-out", request, "-subj", "/CN=broker")
        files.broker_key.chmod(0o600)
        _openssl(
            *("x509", "-req", "-in", request, "-CA", files.authority, "-CAkey", files.authority_key),
            *("-CAcreateserial", "-out", files.broker, "-days", BROKER_DAYS, "-extfile", extensions),
        )
    return files


def _name(host: str) -> str:
    try:
        return f"IP:{ipaddress.ip_address(host)}"
    except ValueError:
        if not _HOST_NAME.fullmatch(host):
            raise CertificatesFailed(f"{host!r} is neither a host name nor an address.") from None
        return f"DNS:{host}"


def _openssl(*arguments: object) -> None:
    program = shutil.which("openssl")
    if program is None:
        raise CertificatesFailed("The program openssl is not installed. Install it, then run this again.")
    made = subprocess.run(  # noqa: S603  # a program of this machine, no shell, and host names that were checked
        [program, *map(str, arguments)], check=False, capture_output=True, text=True
    )
    if made.returncode != 0:
        raise CertificatesFailed(f"openssl {arguments[0]} failed: {made.stderr.strip()}")
