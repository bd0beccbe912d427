"""Puts the firmware onto an ESP32 that runs MicroPython, by mpremote."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from firmware.board.store import NAMESPACE, SERVICE, WANTED

# Copying 80 kB over a slow serial line takes half a minute.
TIMEOUT_S = 180

# Code in files is loaded into memory, 90 kB compiled and more when loaded, beside some 50 kB at work: a chip without
# PSRAM has no room for that beside Wi-Fi. It has about 170 kB in all, one with PSRAM two million or more.
NEEDED_FREE_BYTES = 400_000

# From a reset until the board's console answers.
_BOOT_S = 3

# The next boot leaves the board alone: no watchdog restarts it while it is being written to.
_REST = f"import esp32; n = esp32.NVS({NAMESPACE!r}); n.set_i32({WANTED!r}, {SERVICE}); n.commit()"

# Is the firmware in the image? Files would come before it, so they are not looked at.
_ASK = """
import gc, sys
sys.path[:] = [".frozen"]
try:
    from firmware.board.version import VERSION
    print("frozen", VERSION)
except ImportError:
    gc.collect()
    print("free", gc.mem_free())
"""

# Old code goes first, main.py before all: a board that is unplugged in the middle starts nothing half.
_CLEAR = """
import os
def clear(path):
    try:
        kind = os.stat(path)[0]
    except OSError:
        return
    if kind & 0x4000:
        for name in os.listdir(path):
            clear(path + "/" + name)
        os.rmdir(path)
    else:
        os.remove(path)
for name in ("main.py", "protocol", "firmware"):
    clear("/" + name)
"""

_LABEL = "from firmware.board.main import label; label()"


class FlashingFailed(Exception):
    """The board has not, or not all of, the firmware. The text says what to do."""


class Label(NamedTuple):
    """What belongs on the dispenser: the set-up network's name and password."""

    network: str
    password: str


def mpremote() -> str:
    """The program's path. Raises `FlashingFailed` when it is not installed."""
    beside = str(Path(sys.executable).parent)
    found = shutil.which("mpremote", path=os.pathsep.join([os.environ.get("PATH", ""), beside]))
    if found is None:
        raise FlashingFailed("mpremote is not installed. Install it (pip install mpremote), then run this again.")
    return found


def flash(program: str, port: str, built: Path, ca: Path | None, tell: Callable[[str], None]) -> Label:
    """Put what is in `built` onto the board at `port`, and `ca` as the certificates to trust. The board then restarts.

    Where the firmware is in the board's image, files of it are only removed. Settings and journal stay. `tell` hears of
    each step. Raises `FlashingFailed`.
    """
    if ca is not None and "-----BEGIN CERTIFICATE-----" not in _text(ca):
        raise FlashingFailed(f"{ca} holds no certificate. Give the ca.crt that `pitada certificates` made.")

    def run(*arguments: str) -> str:
        return _run(program, port, arguments)

    tell("Asking the board to rest")
    run("exec", _REST)
    run("reset", "sleep", str(_BOOT_S))
    is_frozen = _is_frozen(run("exec", _ASK), tell)
    if not is_frozen and not (built / "main.py").is_file():
        raise FlashingFailed(f"There is no firmware in {built}. Build it (make firmware), or say where it is (--from).")
    tell("Removing the old firmware")
    run("exec", _CLEAR)
    if ca is not None:
        run("cp", str(ca), ":ca.crt")
    if not is_frozen:
        tell("Copying the new one")
        run("cp", "-r", str(built / "protocol"), str(built / "firmware"), ":")
        run("cp", str(built / "main.py"), ":main.py")
    said = run("exec", _LABEL).split()
    if len(said) != 3 or said[0] != "label":
        raise FlashingFailed(f"The board did not say its label, but {' '.join(said)!r}. Flash it again.")
    tell("Restarting")
    run("reset")
    return Label(said[1], said[2])


def _is_frozen(said: str, tell: Callable[[str], None]) -> bool:
    match said.split():
        case ["frozen", version]:
            tell(f"The board's image has the firmware, version {version}")
            return True
        case ["free", free] if free.isdecimal() and int(free) >= NEEDED_FREE_BYTES:
            return False
        case ["free", free]:
            raise FlashingFailed(
                f"The board has {free} bytes of memory, too little for the firmware in files: that needs a board with "
                "PSRAM. Put an image onto it that has the firmware in it (docs/firmware.md), then run this again."
            )
        case words:
            raise FlashingFailed(f"The board said {' '.join(words)!r}. Check that it runs MicroPython, then try again.")


def _run(program: str, port: str, arguments: tuple[str, ...]) -> str:
    command = [program, "connect", port, *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)  # noqa: S603  # arguments of ours, and the port that was asked for
    except subprocess.TimeoutExpired as error:
        raise FlashingFailed(
            f"The board at {port} fell silent. Unplug it, plug it in again, then run this again."
        ) from error
    if done.returncode:
        lines = (done.stderr.strip() or done.stdout.strip()).splitlines()
        said = lines[-1] if lines else "it said nothing"
        raise FlashingFailed(
            f"The board at {port} did not do {arguments[0]!r}: {said}. Check the port, that MicroPython is on the "
            "board, and that no other program has the port open; then run this again."
        )
    return done.stdout


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise FlashingFailed(f"{path} cannot be read: {error}. Check the path.") from error
