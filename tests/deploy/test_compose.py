"""docker-compose.yml has the shape that Compose reads, and all that it names is there.

The shape is our own model of the part of the Compose specification that the file uses, closed to everything else: a
misspelt or misplaced key fails here as it would in `docker compose config`.
"""

import re
import shlex
from pathlib import Path
from typing import Literal

import pytest
import typer.main
from pydantic import BaseModel, ConfigDict, Field
from typer.core import TyperGroup

from pitada.cli import app
from pitada.cli.deploy import secrets
from pitada.local.certificates import Certificates
from services.settings import Settings
from tests.compose import ROOT, compose, ours

DURATION = Field(pattern=r"^(\d+(us|ms|s|m|h))+$")


class Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Healthcheck(Closed):
    test: list[str] = Field(min_length=2)
    interval: str = DURATION
    timeout: str = DURATION
    retries: int
    start_period: str = DURATION


class Dependency(Closed):
    condition: Literal["service_started", "service_healthy", "service_completed_successfully"]


class Service(Closed):
    image: str
    restart: Literal["no", "always", "on-failure", "unless-stopped"]
    build: str | None = None
    command: list[str] | None = None
    entrypoint: list[str] | None = None
    user: str | None = None
    init: bool = False
    read_only: bool = False
    tmpfs: list[str] = []
    cap_drop: list[str] = []
    security_opt: list[str] = []
    shm_size: str | None = Field(default=None, pattern=r"^\d+[bkmg]{1,2}$")
    stop_grace_period: str | None = None
    environment: dict[str, str] = {}
    ports: list[str] = []
    secrets: list[str] = []
    volumes: list[str] = []
    healthcheck: Healthcheck | None = None
    depends_on: dict[str, Dependency] = {}


class Secret(Closed):
    file: str


class ComposeFile(Closed):
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    services: dict[str, Service]
    volumes: dict[str, None]
    secrets: dict[str, Secret]


@pytest.fixture
def file() -> ComposeFile:
    return ComposeFile.model_validate({key: value for key, value in compose().items() if not key.startswith("x-")})


def test_the_shape_is_compose_s(file: ComposeFile) -> None:
    assert {"mosquitto", "postgresql", "migrate", "ingest", "dispatch", "dashboard"} <= set(file.services)
    with pytest.raises(ValueError, match="helthcheck"):
        Service.model_validate({"image": "x", "restart": "always", "helthcheck": {}})


def test_every_secret_volume_and_dependency_that_a_service_names_is_declared_and_all_are_used(
    file: ComposeFile,
) -> None:
    used_secrets = {name for one in file.services.values() for name in one.secrets}
    named_volumes = {
        volume.split(":")[0] for one in file.services.values() for volume in one.volumes if volume[0] not in "./"
    }
    assert used_secrets == set(file.secrets)
    assert named_volumes == set(file.volumes)
    for name, one in file.services.items():
        for needed, dependency in one.depends_on.items():
            assert needed in file.services, name
            assert (dependency.condition == "service_healthy") <= (file.services[needed].healthcheck is not None)
            if dependency.condition == "service_completed_successfully":
                assert file.services[needed].restart == "on-failure"
            else:
                assert file.services[needed].restart == "unless-stopped"


def test_every_secret_is_mounted_where_it_is_named(file: ComposeFile) -> None:
    for name, one in file.services.items():
        words = [*one.environment.values(), *(one.command or [])]
        named = {match for word in words for match in re.findall(r"/run/secrets/([\w.-]+)", word)}
        # Mosquitto's configuration names its two, and broker-config writes only their paths.
        if name == "mosquitto":
            assert set(one.secrets) == {Certificates(ROOT).broker.name, Certificates(ROOT).broker_key.name}
        elif name == "broker-config":
            assert named >= set(one.secrets)
        else:
            assert named == set(one.secrets), name


def test_every_variable_of_ours_is_a_setting_and_takes_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, one in ours().items():
        with monkeypatch.context() as environment:
            for variable, value in one.get("environment", {}).items():
                field = variable.removeprefix("PITADA_").lower()
                assert field in Settings.model_fields, f"{name}: {variable}"
                environment.setenv(variable, re.sub(r"\$\{\w+:-(.*)\}", r"\1", value))
            Settings()


def test_every_command_of_ours_is_one_that_the_command_line_has() -> None:
    for name, one in ours().items():
        command = typer.main.get_command(app)
        words = list(one["command"])
        while isinstance(command, TyperGroup):
            word = words.pop(0)
            assert word in command.commands, f"{name}: {word}"
            command = command.commands[word]
        command.make_context(name, words, resilient_parsing=False)


def test_each_health_check_asks_where_its_service_answers(file: ComposeFile) -> None:
    for name in ("ingest", "dispatch", "accounts", "dashboard"):
        one = file.services[name]
        assert one.healthcheck is not None
        default = str(Settings.model_fields["health_port"].default)
        port = one.environment["PITADA_HTTP_PORT"] if name == "dashboard" else default
        assert f"http://127.0.0.1:{port}/healthz" in one.healthcheck.test[-1]
        compile(one.healthcheck.test[-1], name, "exec")
    mosquitto = file.services["mosquitto"]
    assert mosquitto.healthcheck is not None
    port = mosquitto.healthcheck.test[-1]
    assert mosquitto.ports == [f"{port}:{port}"]
    command = file.services["broker-config"].command or []
    assert command[command.index("--port") + 1] == port == file.services["ingest"].environment["PITADA_BROKER_PORT"]


def test_every_file_that_it_mounts_or_builds_from_is_there(file: ComposeFile) -> None:
    for one in file.services.values():
        for volume in one.volumes:
            source = volume.split(":")[0]
            if source.startswith("./"):
                assert (ROOT / source).is_file()
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    allowed = [
        line[1:] for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line.startswith("!")
    ]
    copied = set()
    for line in dockerfile.splitlines():
        if line.startswith("COPY ") and "--from" not in line:
            copied |= set(shlex.split(line)[1:-1])
    assert {name for name in copied if not (ROOT / name).exists()} == set()
    assert copied == set(allowed)
    (user,) = re.findall(r"^USER (\S+)", dockerfile, re.MULTILINE)
    assert file.services["mosquitto"].user == user


def test_pitada_secrets_makes_every_secret_that_it_names(file: ComposeFile, tmp_path: Path) -> None:
    directory = tmp_path / "secrets"
    secrets(directory)
    for name, secret in file.secrets.items():
        made = directory / Path(secret.file).name
        assert made.is_file(), name
        assert made.stat().st_mode & 0o044 == 0o044, "the containers' user must be able to read it"
    assert directory.stat().st_mode & 0o077 == 0, "nobody else may pass through"
    assert (directory / "ca.key").stat().st_mode & 0o077 == 0
    before = (directory / "database-password").read_text()
    secrets(directory)
    assert (directory / "database-password").read_text() == before
