"""The same load on ingest, on one transaction a message and on Node-RED, in one run. A table, and one JSON line.

`make bench ARGS="peers --json"`; `--write` puts the table into docs/benchmarks.md. Everything shares the machine.
"""

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path

from pitada.local.mosquitto import find_binary
from tests.benchmarks.backlog import MESSAGES_PER_JOB, Work
from tests.benchmarks.bench_ingest import machine
from tests.benchmarks.bench_settle import database_of
from tests.benchmarks.node_red_process import versions
from tests.benchmarks.peers import PEERS, Drain, Kill, drain, kill

PAGE = Path(__file__).parents[2] / "docs/benchmarks.md"
BLOCK = re.compile(r"(<!-- measured: peers -->\n).*?(<!-- end -->)", re.DOTALL)

# Some eleven jobs each, as in the benchmark of ingest.
DEVICES = 200

Measured = dict[str, tuple[Drain, Kill]]


def main(arguments: list[str]) -> None:
    """Prints the table for people, then the line of JSON."""
    parser = argparse.ArgumentParser(prog="make bench ARGS=peers", description=__doc__)
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--kill-messages", type=int, default=9_000, help="of the drains with a kill in the middle")
    parser.add_argument("--write", action="store_true", help="put the table into docs/benchmarks.md")
    asked = parser.parse_args(arguments)
    work = Work(0, asked.messages // MESSAGES_PER_JOB, DEVICES)
    kill_work = Work(0, asked.kill_messages // MESSAGES_PER_JOB, DEVICES)
    used = {**_servers(), **versions()}
    # All drains first: the closer together, the more alike is what the machine does else.
    drains = {name: drain(peer, work) for name, peer in PEERS.items()}
    kills = {name: kill(peer, kill_work) for name, peer in PEERS.items()}
    measured: Measured = {name: (drains[name], kills[name]) for name in PEERS}
    block = _block(measured, work, kill_work, used)
    sys.stderr.write(block)
    if asked.write:
        PAGE.write_text(BLOCK.sub(lambda found: f"{found[1]}{block}{found[2]}", PAGE.read_text()))
    sys.stdout.write(json.dumps(_figures(measured, work, kill_work, used)) + "\n")


def _figures(measured: Measured, work: Work, kill_work: Work, used: dict[str, str]) -> dict[str, object]:
    figures: dict[str, object] = {
        "benchmark": "peers",
        "machine": machine(),
        "versions": used,
        "messages": work.messages,
        "kill_messages": kill_work.messages,
    }
    for name, (drained, killed) in measured.items():
        figures[name] = {
            "settled_per_s": round(drained.settled_per_s),
            "ratio": round(_ratio(measured, drained), 4),
            "cpu_s_per_1000": round(drained.cpu_s_per_1000, 3),
            "lost": drained.lost,
            "duplicated": drained.duplicated,
            "receipts_missing": drained.receipts_missing,
            "kill": vars(killed),
        }
    return figures


def _block(measured: Measured, work: Work, kill_work: Work, used: dict[str, str]) -> str:
    names = {
        "mosquitto": "Mosquitto",
        "postgresql": "PostgreSQL",
        "node": "Node.js",
        "node-red": "Node-RED",
        "pg": "pg",
    }
    with_what = ", ".join(f"{title} {used[name]}" for name, title in names.items())
    lines = [
        f"{machine()}; {with_what}. A backlog of {work.messages:,} messages; of {kill_work.messages:,} with the kill.",
        "",
        "| | settled/s | to Pitada | CPU s a 1,000 messages | lost, duplicated | receipts missing "
        "| `kill -9` half-way: lost, duplicated, of items left |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, (drained, killed) in measured.items():
        cells = (
            PEERS[name].title,
            f"{drained.settled_per_s:,.0f}",
            f"{_ratio(measured, drained):.3f}",
            f"{drained.cpu_s_per_1000:.3f}",
            f"{drained.lost}, {drained.duplicated}",
            str(drained.receipts_missing),
            f"{killed.lost:,}, {killed.duplicated}, of {killed.left:,}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _ratio(measured: Measured, drained: Drain) -> float:
    ours, _ = measured["pitada"]
    return drained.settled_per_s / ours.settled_per_s


def _servers() -> dict[str, str]:
    told = subprocess.run([find_binary(), "-h"], check=False, capture_output=True, text=True).stdout
    with database_of("postgresql") as database, database.read() as tx:
        version = str(tx.exec_driver_sql("SHOW server_version").scalar_one())
    found = re.search(r"version (\S+)", told)
    assert found is not None, told
    return {"mosquitto": found[1], "postgresql": version.split()[0]}
