"""Ports that stay free for a server that is killed and started again."""

import socket
from pathlib import Path

from pitada.local.ports import free_port


def test_it_is_free_and_no_outgoing_connection_is_given_it() -> None:
    port = free_port()
    with socket.create_server(("127.0.0.1", port)):
        pass
    outgoing = Path("/proc/sys/net/ipv4/ip_local_port_range")
    if outgoing.exists():
        lowest, highest = map(int, outgoing.read_text().split())
        assert not lowest <= port <= highest
