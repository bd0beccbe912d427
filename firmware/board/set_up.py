"""The set-up: the dispenser opens a Wi-Fi of its own, asks for its settings there, and restarts."""

import asyncio

from firmware.board.captive import serve_names
from firmware.board.led import Led
from firmware.board.portal import Portal
from firmware.board.settings import Settings
from firmware.board.store import Store
from firmware.board.wifi import PROBLEMS

try:
    from typing import Callable
except ImportError:  # MicroPython has no typing; only type checkers look at this
    pass

# The page that says what comes next has to reach the phone before the network is gone.
_FAREWELL_S = 3

# A dispenser that has settings goes back to work when nobody comes: someone held the button and went away.
NOBODY_CAME_MS = 600_000

# The LED's steps.
_STEP_S = 1
_STEPS = 20

HTTP_PORT = 80
DNS_PORT = 53


async def ask(
    store: "Store",
    led: "Led",
    now_ms: "Callable[[], int]",
    label: str,
    address: str,
    networks: "list[str]",
    flashed: str,
    host: str = "0.0.0.0",
    http_port: int = HTTP_PORT,
    dns_port: int = DNS_PORT,
) -> "Settings | None":
    """Serve the portal until settings were kept, or nobody came: None. The access point is open already.

    `address` is the dispenser's own in its network; `networks` and `flashed` are for the form, see Portal.
    """
    notice = PROBLEMS.get(store.problem(), "")
    kept = store.settings()
    portal = Portal(label, address, networks, kept, flashed, notice, store.keep_settings)
    server = await asyncio.start_server(portal.serve, host, http_port)
    octets = bytes([int(octet) for octet in address.split(":")[0].split(".")])
    names = asyncio.create_task(serve_names(host, dns_port, octets))
    saved = asyncio.create_task(portal.wait_saved())
    since_ms = now_ms()
    requests = 0
    try:
        while not saved.done():
            led.show("set_up", now_ms())
            if portal.requests != requests:
                requests = portal.requests
                since_ms = now_ms()
            if kept is not None and now_ms() - since_ms >= NOBODY_CAME_MS:
                return None
            await asyncio.sleep(_STEP_S / _STEPS)
        if portal.clock_s:
            store.keep_clock(portal.clock_s)
        await asyncio.sleep(_FAREWELL_S)
        return store.settings()
    finally:
        saved.cancel()
        names.cancel()
        server.close()
