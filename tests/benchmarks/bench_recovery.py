"""How long the whole house (embedded broker, SQLite) takes from its start after `kill -9` to serving again."""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PITADA = Path(sys.executable).with_name("pitada")


def restart_s(environment: dict[str, str]) -> float:
    """Seconds from the process's start to its link: broker, services and pages are up. Then it is killed."""
    started = time.perf_counter()
    process = subprocess.Popen(  # our own command
        [str(PITADA), "up", "--broker-port", "0", "--http-port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline()
        return time.perf_counter() - started
    finally:
        process.kill()
        process.communicate()


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="make bench ARGS=recovery")
    parser.add_argument("--restarts", type=int, default=10)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as directory:
        environment = {**os.environ, "PITADA_DATA_DIR": directory}
        restart_s(environment)
        taken = [restart_s(environment) for _ in range(options.restarts)]
    figures = {
        "benchmark": "recovery",
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "restarts": options.restarts,
        "median_s": round(statistics.median(taken), 2),
        "slowest_s": round(max(taken), 2),
    }
    sys.stdout.write(json.dumps(figures) + "\n")
