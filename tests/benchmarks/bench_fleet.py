"""How long a fleet takes to connect, and what an idle connected dispenser costs in memory.

`python tests/benchmarks/bench_fleet.py [--devices 500] [--mosquitto PATH]` prints one line of JSON.
"""

import argparse
import asyncio
import gc
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from simulators.flask import FlaskSpec
from simulators.fleet import DispenserSpec, Fleet

FLASKS = 4
# All boards on within a second, so that the figure is the connecting and not the ramp.
RAMP_PER_S = 1000
DEADLINE_S = 120.0


def rss_bytes() -> int:
    """What this process holds in memory now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def mosquitto(binary: str) -> Iterator[int]:
    """The port of a Mosquitto that lets everybody in."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as directory:
        config = Path(directory) / "mosquitto.conf"
        # It logs its start and no connections: nobody reads on, and a full pipe would stop it.
        config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nlog_type information\n")
        process = subprocess.Popen([binary, "-c", str(config)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        try:
            assert process.stdout is not None
            if not any(b"running" in line for line in process.stdout):
                raise RuntimeError(f"{binary} did not start on port {port}")
            yield port
        finally:
            process.terminate()
            process.communicate(timeout=10)


async def measure(port: int, devices: int) -> dict[str, object]:
    """Connect that many, and say what it took."""
    specs = [
        DispenserSpec(
            f"bench-{number}", "secret", [FlaskSpec(flask, 1_000_000, 5000) for flask in range(1, FLASKS + 1)]
        )
        for number in range(devices)
    ]
    # The first one pays for what all share: the event loop, the compiled tables.
    async with Fleet(specs[:1], "127.0.0.1", port) as first:
        await first.wait_until(lambda: first.connected == 1, DEADLINE_S)
    gc.collect()
    before_bytes = rss_bytes()
    started = time.perf_counter()
    async with Fleet(specs, "127.0.0.1", port, ramp_per_s=RAMP_PER_S) as fleet:
        await fleet.wait_until(lambda: fleet.connected == devices, DEADLINE_S)
        connect_s = time.perf_counter() - started
        gc.collect()
        per_device_bytes = (rss_bytes() - before_bytes) // devices
    return {
        "devices": devices,
        "connect_s": round(connect_s, 2),
        "rss_bytes_per_device": per_device_bytes,
    }


def main(args: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, default=500)
    parser.add_argument("--mosquitto", default="/usr/sbin/mosquitto", help="path of the broker's binary")
    chosen = parser.parse_args(args)
    with mosquitto(chosen.mosquitto) as port:
        result = asyncio.run(measure(port, chosen.devices))
    sys.stdout.write(json.dumps({"benchmark": "fleet", **result}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
