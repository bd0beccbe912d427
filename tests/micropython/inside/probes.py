"""Small programs that show what the VM does."""

import asyncio
import os
import ssl

from firmware.board.flash import Flash


async def save(slot: str, *contents: str) -> None:
    """Save one slot after the other and say each."""
    flash = Flash("/flash")
    for content in contents:
        print("saved" if flash.save(slot, content.encode()) else "failed", content)
    os.remove("/flash/" + slot)


async def read() -> None:
    """Print what is in flash."""
    print(sorted(Flash("/flash").read().items()))


async def talk(port: int, certificates: str) -> None:
    """Open a stream (with TLS when there are certificates to trust), send a line, print what comes back."""
    context = None
    if certificates:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=certificates.encode())
        context.verify_mode = ssl.CERT_REQUIRED
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    print("open")
    try:
        writer.write(b"hello")
        await writer.drain()
        while True:
            data = await reader.read(4)
            print("read", data)
            if not data:
                break
    except (OSError, ValueError) as error:
        print(type(error).__name__)
    writer.close()
    await writer.wait_closed()


async def fill(step: int) -> None:
    """Take memory in steps until there is none, then print how many there were."""
    held = []
    try:
        while True:
            held.append(bytearray(step))
    except MemoryError:
        count = len(held)
        del held
        print("steps", count)
