"""How a fleet is switched on: so many dispensers a second."""

import asyncio
from collections.abc import Callable, Iterable

# Ten thousand dispensers are on in under a minute, and no broker sees more new sign-ins at once than it takes.
RAMP_PER_S = 250


async def ramp(boots: Iterable[Callable[[], None]], per_s: int) -> None:
    """Calls `boots` one after the other at that rate; one that is late is made up for."""
    loop = asyncio.get_running_loop()
    started = loop.time()
    for number, boot in enumerate(boots):
        due = started + number / per_s
        if due > loop.time():
            await asyncio.sleep(due - loop.time())
        boot()
