"""What docker-compose.yml runs, run without containers: the same commands and variables, real servers, TLS."""

import asyncio
import json
import os
import re
import shutil
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pitada.cli.deploy import secrets
from pitada.local.ports import free_port
from pitada.local.postgresql import LocalPostgresql
from pitada.local.program import Program
from services.mqtt import Account, BrokerAddress, connected
from tests.compose import ROOT, ours
from tests.integration.conftest import PITADA
from tests.programs import PLACES, need

SERVICES = ("accounts", "ingest", "dispatch", "dashboard")


class Site:
    """The compose file's services as processes of this machine, below `directory`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.secrets = directory / "secrets"
        self.broker = directory / "broker"
        secrets(self.secrets)
        self.postgresql = LocalPostgresql(directory / "postgresql", fsync=False)
        self.postgresql.start()
        shutil.copyfile(self.postgresql.password_file, directory / "password")
        self.ports = {name: free_port() for name in (*SERVICES, "mosquitto")}
        script = [str(ROOT / "deploy" / "mosquitto.sh"), str(self.broker)]
        self.mosquitto = Program(["/bin/sh", *script], {"PATH": PLACES}, directory / "mosquitto.log")
        self.programs = {name: self._program(name) for name in SERVICES}

    def run(self, name: str) -> None:
        """A service that ends by itself."""
        subprocess.run(self.command(name), check=True, capture_output=True, env=self.environment(name), timeout=60)

    def command(self, name: str) -> list[str]:
        return [str(PITADA), *(self._here(word) for word in ours()[name]["command"])]

    def environment(self, name: str) -> dict[str, str]:
        variables = {key: self._here(value) for key, value in ours()[name].get("environment", {}).items()}
        port = str(self.ports.get(name, 0))
        return {
            **os.environ,
            **variables,
            "PITADA_DATA_DIR": str(self.directory / "data"),
            "PITADA_DATABASE_PASSWORD_FILE": str(self.directory / "password"),
            "PITADA_HEALTH_PORT": port,
            "PITADA_HTTP_PORT": port,
        }

    def health(self, name: str) -> dict[str, Any]:
        """What `/healthz` says; empty while nobody answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.ports[name]}/healthz", timeout=5) as answer:
                body = answer.read()
        except urllib.error.HTTPError as error:
            body = error.read()
        except OSError:
            return {}
        found: dict[str, Any] = json.loads(body)
        return found

    def why(self, name: str) -> str:
        return str(self.health(name).get("services", {}).get(name, {}).get("why", ""))

    def stop(self) -> None:
        for program in (*self.programs.values(), self.mosquitto):
            program.stop()
        self.postgresql.stop()

    def _program(self, name: str) -> Program:
        return Program(self.command(name), self.environment(name), self.directory / f"{name}.log")

    def _here(self, word: str) -> str:
        """A word of the compose file, as it is on this machine."""
        word = word.replace("/run/secrets", str(self.secrets))
        word = re.sub(r"^/broker$", str(self.broker), word)
        word = re.sub(r"^8883$", str(self.ports["mosquitto"]), word)
        word = re.sub(r"^(mosquitto|0\.0\.0\.0)$", "127.0.0.1", word)
        return self.postgresql.url_without_password if word.startswith("postgresql+psycopg:") else word


@pytest.fixture
def site() -> Iterator[Site]:
    need("mosquitto")
    # Not in pytest's own directory: run by root, PostgreSQL is another user, who may not enter that one.
    directory = Path(tempfile.mkdtemp(prefix="pitada-compose-"))
    directory.chmod(0o711)
    running = Site(directory)
    yield running
    running.stop()
    shutil.rmtree(directory)


@pytest.mark.timeout(180)
async def test_its_services_wait_for_tables_and_accounts_say_what_is_away_and_recover(
    site: Site, until: Callable[..., Any]
) -> None:
    def well() -> bool:
        return all(site.health(name).get("status") == "ok" for name in SERVICES)

    def say(words: str, names: tuple[str, ...] = SERVICES) -> Callable[[], bool]:
        return lambda: all(words in site.why(name) for name in names)

    for program in site.programs.values():
        program.start()
    await until(say("tables"))
    await asyncio.to_thread(site.run, "migrate")
    await until(say("broker", ("ingest", "dispatch", "dashboard")))
    await asyncio.to_thread(site.run, "broker-config")
    site.mosquitto.start()
    await until(well)

    claimed = await asyncio.to_thread(
        subprocess.run,
        [str(PITADA), "devices", "claim", "kitchen", "1=Salt:500", "--json"],
        check=True,
        capture_output=True,
        env=site.environment("dashboard"),
    )
    dispenser = Account("kitchen", json.loads(claimed.stdout)["password"])
    refusals: list[str] = []
    authority = BrokerAddress("127.0.0.1", site.ports["mosquitto"], str(site.secrets / "ca.crt"))
    async with asyncio.timeout(30), connected(authority, dispenser, on_refusal=refusals.append):
        pass
    with pytest.raises(GivenUp):
        async with connected(authority, Account("kitchen", "wrong"), on_refusal=given_up):
            pass

    await asyncio.to_thread(site.postgresql.stop)
    await until(say("database"))
    await asyncio.to_thread(site.postgresql.start)
    await until(well)
    await asyncio.to_thread(site.mosquitto.stop)
    await until(say("broker", ("ingest", "dispatch", "dashboard")))
    site.mosquitto.start()
    await until(well)
    assert all(program.running for program in site.programs.values()), "none of them ended in between"


def given_up(why: str) -> None:
    raise GivenUp(why)


class GivenUp(Exception):
    """The broker refused."""
