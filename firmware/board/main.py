"""A boot of the dispenser: close every gate, then run, or ask to be set up. The chip's /main.py calls `main`."""

import asyncio
import gc
import os
import sys
import time

import machine

from firmware.board import chip, store
from firmware.board.hardware import PART, Hardware
from firmware.board.version import VERSION

try:
    from firmware.board.clock import Clock
    from firmware.board.gates import Gates
    from firmware.board.settings import Settings
    from firmware.board.store import Store
except ImportError:  # only type checkers look at these
    pass

# The journal's files. A folder of their own: nothing else is ever written there.
_JOURNAL = "journal"

# Certificates that `pitada flash --ca` brought.
_CERTIFICATES = "ca.crt"

# A Wi-Fi that never let the dispenser in is most likely a typing error of the person who still stands beside it.
_FIRST_JOIN_MS = 120_000

# An error that comes at each boot must leave time to be read, and to interrupt.
_BEFORE_RESTART_S = 5

# The clock is asked for this often at first, then ever less: where there is no internet each time costs a second.
_CLOCK_EVERY_S = 10
_CLOCK_LONGEST_S = 3600


def main() -> None:
    """Never returns, but for the service that `pitada flash` asks for, or when it is interrupted at the console.

    Whatever ends it, every gate is closed first.
    """
    enable = chip.silence()
    try:
        kept = chip.store()
        clock = chip.clock()
        gates = chip.gates(enable, kept, clock.now_ms)
        gates.close_all()
        try:
            if not _work(kept, clock, gates):
                return
        finally:
            gates.close_all()
    except Exception as error:  # whatever it is: show it, and start again
        sys.print_exception(error)
        time.sleep(_BEFORE_RESTART_S)
    machine.reset()


def label() -> None:
    """Print what belongs on the dispenser's label: its set-up network, and the password of that."""
    print("label", chip.label(), chip.store().label_password(os.urandom))


def weigh() -> None:
    """Print the load cell's counts, five times a second, until interrupted: to find the counts of a gram."""
    clock = chip.clock()
    converter = chip.converter()
    read_at_ms = 0
    while True:
        counts = converter.read()
        if counts is not None and clock.now_ms() - read_at_ms >= 200:
            read_at_ms = clock.now_ms()
            print(counts)
        time.sleep_ms(5)


def _work(kept: "Store", clock: "Clock", gates: "Gates") -> bool:
    """What this boot is for. False: to leave the board alone."""
    wanted = kept.take_wanted()
    if wanted == store.SERVICE:
        print("Pitada rests until the next restart: the board can be worked on.")
        return False
    settings = kept.settings()
    if settings is None or wanted == store.SET_UP:
        asyncio.run(_set_up(kept, clock))
    else:
        asyncio.run(_run(kept, clock, gates, settings))
    return True


async def _run(kept: "Store", clock: "Clock", gates: "Gates", settings: "Settings") -> None:
    """The dispenser at work."""
    # Here and not above: the set-up has no use for them, and needs the memory.
    from firmware.board.flash import Flash
    from firmware.board.run import Board, Facts
    from firmware.board.stream import Stream
    from firmware.core.dispenser import Dispenser

    chip.set_clock(kept.clock_s())
    if _JOURNAL not in os.listdir():
        os.mkdir(_JOURNAL)
    facts = Facts()
    hardware = Hardware(
        facts.tell,
        gates,
        chip.scale(settings.counts_per_g, clock.now_ms),
        chip.button(),
        chip.led(),
        chip.watchdog((PART,), clock.now_ms()),
        chip.wifi(settings.ssid, settings.wifi_password, settings.device),
        clock.now_ms,
        gc.mem_free,
        lambda: _restart_into_set_up(kept, 0),
        print,
    )
    stream = Stream(settings.server, settings.port, chip.tls(settings.certificates), facts.tell, hardware.wifi.is_up)
    dispenser = Dispenser(settings.device, settings.password, VERSION, chip.random_bits)
    tasks = [asyncio.create_task(_prove(kept, hardware))]
    if settings.certificates:
        tasks.append(asyncio.create_task(_keep_clock(kept, hardware)))
    await Board(dispenser, facts, hardware, stream, Flash(_JOURNAL), clock.now_ms).run(chip.reset_cause())


async def _prove(kept: "Store", hardware: "Hardware") -> None:
    """New settings that the Wi-Fi does not take are asked for again, with the reason."""
    if kept.are_proved():
        return
    for _second in range(_FIRST_JOIN_MS // 1000):
        await asyncio.sleep(1)
        if hardware.wifi.is_up():
            await _rest(hardware)
            kept.keep_proved()
            return
    await _rest(hardware)
    _restart_into_set_up(kept, hardware.wifi.problem)


async def _rest(hardware: "Hardware") -> None:
    """Until no gate is open: beside one, a write to flash takes too long, and a restart leaves a dose in doubt."""
    while hardware.is_dispensing():
        await asyncio.sleep(1)


async def _keep_clock(kept: "Store", hardware: "Hardware") -> None:
    """Certificates are checked against the clock, and the chip loses it with its power."""
    pause_s = _CLOCK_EVERY_S
    while True:
        if hardware.wifi.is_up() and not hardware.is_dispensing():
            now_s = chip.ask_clock()
            if now_s:
                kept.keep_clock(now_s)
                return
            pause_s = min(2 * pause_s, _CLOCK_LONGEST_S)
        await asyncio.sleep(pause_s)


async def _set_up(kept: "Store", clock: "Clock") -> None:
    from firmware.board.set_up import ask

    networks = chip.networks()
    name = chip.label()
    password = kept.label_password(os.urandom)
    address = chip.access_point(name, password)
    print(f"Set-up: join the Wi-Fi {name} with the password {password}, then open http://{address}/")
    await ask(kept, chip.led(), clock.now_ms, name, address, networks, _flashed_certificates())


def _restart_into_set_up(kept: "Store", problem: int) -> None:
    kept.want(store.SET_UP, problem)
    machine.reset()


def _flashed_certificates() -> str:
    try:
        with open(_CERTIFICATES) as file:
            return str(file.read())
    except OSError:
        return ""
