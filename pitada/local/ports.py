"""Free ports of this machine, chosen so that a server which is down for a moment finds its own free again."""

import secrets
import socket
from pathlib import Path

# Ports that the kernel gives to outgoing connections: one of those can be in another's hand when a server is back.
_OUTGOING = Path("/proc/sys/net/ipv4/ip_local_port_range")

# Below are the well-known ones, and many that other programs like.
_LOWEST = 10_000

# Hardly any of them is taken, so this many in a row is another fault.
_TRIES = 100


def free_port(host: str = "127.0.0.1") -> int:
    """A port on which nobody listens now, outside the range of outgoing connections where that is known (Linux)."""
    for _ in range(_TRIES):
        port = _some_port()
        with socket.socket() as probe:
            try:
                probe.bind((host, port))
            except OSError:
                continue
            found: int = probe.getsockname()[1]
            return found
    raise OSError(f"no free port on {host}")


def _some_port() -> int:
    """0, where the kernel is to choose."""
    if not _OUTGOING.exists():
        return 0
    highest = int(_OUTGOING.read_text(encoding="ascii").split()[0])
    return _LOWEST + secrets.randbelow(highest - _LOWEST) if highest > _LOWEST else 0
