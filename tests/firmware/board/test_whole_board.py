"""The whole board on stand-ins for its chips: a boot, a job over a real broker, and the stop button."""

import importlib
import json
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from firmware.board.button import STOP_MS
from firmware.board.run import TICK_MS
from firmware.board.settings import Settings
from firmware.board.store import Store
from pitada.local.ports import free_port
from tests.firmware.board import chips
from tests.firmware.board.esp32 import Chip, Wlan
from tests.programs import need

ROOT = "pitada/v1/kitchen/"
WAIT_S = 20
FLASK = {
    "flask": 1,
    "flow_mg_per_s": 8000,
    "max_open_ms": 5000,
    "channel": 4,
    "closed_us": 1000,
    "open_us": 2000,
    "settle_ms": 100,
}


class TurnClock(chips.Clock):
    """Follows the real time from turn to turn, never by more than `TICK_MS`: a host that stalls stops the chip too."""

    def __init__(self) -> None:
        super().__init__()
        self._looked_s = time.monotonic()

    def turn(self) -> None:
        now_s = time.monotonic()
        passed_ms = int((now_s - self._looked_s) * 1000)
        if passed_ms:
            self._looked_s = now_s
            self.advance(min(passed_ms, TICK_MS))


class Server:
    """Speaks to the dispenser as the services do, over Mosquitto."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.said: dict[str, dict[str, Any]] = {}
        self._offered = False
        self.client = mqtt.Client(CallbackAPIVersion.VERSION2)
        self.client.on_message = self._hear

    def connect(self) -> None:
        deadline = time.monotonic() + WAIT_S
        while True:
            try:
                self.client.connect("127.0.0.1", self.port)
                break
            except ConnectionRefusedError:
                assert time.monotonic() < deadline
        self.client.subscribe(ROOT + "#", 1)
        self.client.loop_start()

    def _hear(self, _client: object, _data: object, message: mqtt.MQTTMessage) -> None:
        said = json.loads(message.payload)
        self.said[message.topic.removeprefix(ROOT)] = said
        if message.topic == ROOT + "status" and said["online"] and not self._offered:
            self._offered = True
            self.tell("config", version=1, flasks=[FLASK])
            self.tell("job/offer", job="J1", seq=1, epoch=said["epoch"], items=[{"flask": 1, "target_mg": 24_000}])

    def tell(self, topic: str, **message: object) -> None:
        self.client.publish(ROOT + topic, json.dumps(message), 1)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    # Not one that the kernel gives to outgoing connections: `connect` might get it, and speak to itself.
    port = free_port("127.0.0.1")
    settings = tmp_path / "mosquitto.conf"
    settings.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n")
    broker = subprocess.Popen([need("mosquitto"), "-c", str(settings)], stderr=subprocess.DEVNULL)
    server = Server(port)
    try:
        server.connect()
        yield server
    finally:
        server.client.loop_stop()
        server.client.disconnect()
        broker.terminate()
        broker.wait(10)


class Seen:
    """Looks at the gate after each step of the hardware, and ends the program when the test has seen enough."""

    def __init__(self, chip: Chip) -> None:
        self.chip = chip
        self.moves: list[tuple[bool, int]] = []
        self.deadline_s = time.monotonic() + WAIT_S
        self.each_step: Callable[[], bool] = lambda: False

    def look(self) -> None:
        is_open = self.chip.driver.pulse_us(4) > 1500
        if not self.moves or self.moves[-1][0] != is_open:
            self.moves.append((is_open, self.chip.clock.ms))
        if self.each_step() or time.monotonic() > self.deadline_s:
            raise KeyboardInterrupt


@pytest.fixture
def clock() -> TurnClock:
    return TurnClock()


@pytest.fixture
def chip(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, clock: TurnClock) -> Chip:
    (tmp_path / "flash").mkdir()
    monkeypatch.chdir(tmp_path / "flash")
    chip = Chip()
    chip.clock = clock
    chip.install(monkeypatch)
    monkeypatch.setattr(Wlan, "isconnected", lambda _wlan: True)
    monkeypatch.setattr(Wlan, "status", lambda _wlan, _what: -55, raising=False)
    return chip


@pytest.fixture
def main(chip: Chip, server: Server) -> ModuleType:
    Store(chip.nvs).keep_settings(
        Settings("Kitchen", "longenough", "127.0.0.1", server.port, "", "kitchen", "secret", 0)
    )
    return importlib.import_module("firmware.board.main")


@pytest.fixture
def seen(chip: Chip, clock: TurnClock, monkeypatch: pytest.MonkeyPatch) -> Seen:
    from firmware.board.hardware import Hardware

    seen = Seen(chip)
    step = Hardware.step

    def watched(hardware: Hardware) -> None:
        clock.turn()
        step(hardware)
        seen.look()

    monkeypatch.setattr(Hardware, "step", watched)
    return seen


def test_a_job_runs_from_the_offer_to_the_completion(chip: Chip, main: ModuleType, server: Server, seen: Seen) -> None:
    seen.each_step = lambda: "job/completion" in server.said
    with pytest.raises(KeyboardInterrupt):
        main.main()
    (item,) = server.said["job/completion"]["items"]
    assert (item["state"], item["error"]) == ("done", None)
    assert [is_open for is_open, _ms in seen.moves] == [False, True, False]
    (_, opened_ms), (_, closed_ms) = seen.moves[1:]
    # Seen in the turn after the one that opened it.
    assert 3000 - TICK_MS <= closed_ms - opened_ms <= 3000 + TICK_MS
    assert (item["duration_ms"], item["dispensed_mg"]) == (3000, 24_000)
    assert server.said["telemetry"]["rssi_dbm"] == -55
    assert chip.driver.pulse_us(4) < 1500


def test_the_button_stops_the_job_and_the_server_hears_what_came_out(
    chip: Chip, main: ModuleType, server: Server, seen: Seen
) -> None:
    def press() -> bool:
        if seen.moves[-1][0]:
            chip.pin(0).level = 0
        return "job/completion" in server.said

    seen.each_step = press
    with pytest.raises(KeyboardInterrupt):
        main.main()
    (item,) = server.said["job/completion"]["items"]
    assert (item["state"], item["error"]) == ("failed", "cancelled")
    # Pressed in the turn after it opened, and seen down in that one.
    assert STOP_MS <= item["duration_ms"] <= STOP_MS + 2 * TICK_MS
    assert item["dispensed_mg"] == item["duration_ms"] * 8
