"""`pitada certificates`, `secrets` and `broker-config`: the files that a deployment starts from."""

import contextlib
import secrets as random
from pathlib import Path
from typing import Annotated

import typer

from broker.mosquitto import Tls
from pitada import broker_files
from pitada.cli.options import DatabaseUrl, DataDir, open_ledger
from pitada.cli.output import console
from pitada.local import certificates as made
from pitada.secrets import write_private
from protocol.access import SERVICE_ACCOUNTS
from services import devices

Hosts = Annotated[list[str] | None, typer.Option("--host", help="Name or address of the broker; may be repeated.")]

# 192 bits, for passwords that nobody types.
_PASSWORD_BYTES = 24


def certificates(directory: Path, host: Hosts = None) -> None:
    """Make a certificate authority (once) and a new certificate for the broker, with openssl."""
    files = made.make(directory, host or ())
    console.print(f"Dispensers and services trust {files.authority}. Keep {files.authority_key} to yourself.")


def secrets(directory: Path, host: Hosts = None) -> None:
    """Make what docker-compose.yml reads as secrets: passwords, and certificates for the broker."""
    # Compose mounts each file with its owner and mode. The containers' user is another one and must read them, so the
    # directory is what keeps everybody else out.
    directory.mkdir(parents=True, exist_ok=True)
    directory.chmod(0o700)
    for name in ("database-password", *(f"{user.replace('_', '-')}-password" for user in SERVICE_ACCOUNTS)):
        if not (directory / name).exists():
            write_private(directory / name, random.token_urlsafe(_PASSWORD_BYTES) + "\n", 0o444)
    files = made.Certificates(directory)
    if not files.broker.exists() or host:
        made.make(directory, host or ())
        files.broker_key.chmod(0o444)
    console.print(f"Ready: {directory}. Nothing in it belongs into a repository or an image.")


def broker_config(
    directory: Annotated[Path, typer.Argument(help="Where Mosquitto reads them, and keeps its own state.")],
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "0.0.0.0",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8883,
    certificate: Annotated[Path | None, typer.Option(help="The broker's certificate; none: plain TCP.")] = None,
    key: Annotated[Path | None, typer.Option(help="Its key.")] = None,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Write Mosquitto's configuration, access list and passwords from the ledger's accounts."""
    if (certificate is None) != (key is None):
        raise typer.BadParameter("--certificate and --key go together")
    tls = None if certificate is None or key is None else Tls(certificate.absolute(), key.absolute())
    with contextlib.closing(open_ledger(data_dir, database_url)) as database:
        accounts = devices.accounts(database)
    broker_files.write_config(directory.absolute(), host, port, tls)
    broker_files.write_accounts(directory.absolute(), accounts)
    console.print(f"{directory}: {len(accounts)} accounts. `pitada serve accounts {directory}` keeps them current.")
