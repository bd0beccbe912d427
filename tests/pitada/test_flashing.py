"""Flashing, with a program in mpremote's place that keeps a board's files in a folder."""

import sys
from pathlib import Path

import pytest

from pitada import flashing
from pitada.flashing import FlashingFailed, Label

# Takes the commands that mpremote takes here, as mpremote takes them; BOARD is the board's file system.
FAKE = """#!{python}
import os, shutil, sys, time
from pathlib import Path

board = Path(os.environ["BOARD"])
connect, port, *words = sys.argv[1:]
assert connect == "connect"
with open(os.environ["LOG"], "a") as log:
    log.write(" ".join(word.splitlines()[0] if word.strip() else "" for word in words) + "\\n")
if port == "/dev/none":
    sys.exit("mpremote: failed to access /dev/none (it may be in use by another program)")
if os.environ.get("FAILS") == words[0]:
    sys.exit("mpremote: OSError: [Errno 28] ENOSPC")
while words:
    word = words.pop(0)
    if word == "cp":
        recursive = words[0] == "-r"
        *sources, target = words[recursive:]
        words = []
        assert target.startswith(":")
        for source in sources:
            if recursive:
                shutil.copytree(source, board / target[1:] / Path(source).name)
            else:
                shutil.copyfile(source, board / target[1:])
    elif word == "exec":
        script = words.pop(0)
        if "label()" in script:
            assert "HAS" in os.environ or (board / "firmware/board/main.mpy").exists()
            print(os.environ.get("SAYS", "label pitada-3fa2 abcdefgh23"))
        elif ".frozen" in script:
            print(os.environ.get("HAS", "free 4100000"))
        elif "def clear" in script:
            exec(script.replace('clear("/" + name)', "clear(" + repr(str(board)) + ' + "/" + name)'))
        else:
            assert "esp32" in script
    elif word == "sleep":
        words.pop(0)
    else:
        assert word == "reset", word
"""


@pytest.fixture
def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The board's files; mpremote is on the PATH."""
    programs, board = tmp_path / "programs", tmp_path / "board"
    programs.mkdir()
    board.mkdir()
    program = programs / "mpremote"
    program.write_text(FAKE.replace("{python}", sys.executable))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.setenv("BOARD", str(board))
    monkeypatch.setenv("LOG", str(tmp_path / "log"))
    return board


@pytest.fixture
def built(tmp_path: Path) -> Path:
    built = tmp_path / "built"
    for name in ("protocol/codec.mpy", "firmware/board/main.mpy", "main.py"):
        (built / name).parent.mkdir(parents=True, exist_ok=True)
        (built / name).write_text(f"new {name}")
    return built


def flash(built: Path, port: str = "/dev/ttyUSB0", ca: Path | None = None) -> tuple[Label, list[str]]:
    told: list[str] = []
    return flashing.flash(flashing.mpremote(), port, built, ca, told.append), told


def files(board: Path) -> set[str]:
    return {str(one.relative_to(board)) for one in board.rglob("*") if one.is_file()}


def test_a_board_gets_the_firmware_and_says_its_label(board: Path, built: Path) -> None:
    label, told = flash(built)
    assert label == Label("pitada-3fa2", "abcdefgh23")
    assert files(board) == files(built)
    assert told == ["Asking the board to rest", "Removing the old firmware", "Copying the new one", "Restarting"]


def test_old_code_goes_and_the_journal_and_everything_else_stays(board: Path, built: Path) -> None:
    for name in ("main.py", "firmware/core/old.py", "protocol/codec.py", "journal/state-a", "boot.py"):
        (board / name).parent.mkdir(parents=True, exist_ok=True)
        (board / name).write_text("old")
    flash(built)
    assert files(board) == files(built) | {"journal/state-a", "boot.py"}
    assert (board / "main.py").read_text() == "new main.py"


def test_the_board_rests_first_and_main_comes_last(board: Path, built: Path, tmp_path: Path) -> None:
    ca = tmp_path / "ca.crt"
    ca.write_text("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n")
    flash(built, ca=ca)
    assert (board / "ca.crt").read_text() == ca.read_text()
    steps = [line.split(" ")[0] for line in (tmp_path / "log").read_text().splitlines()]
    assert steps == ["exec", "reset", "exec", "exec", "cp", "cp", "cp", "exec", "reset"]
    lines = (tmp_path / "log").read_text().splitlines()
    assert "set_i32('wanted', 2)" in lines[0]
    assert lines[-3].endswith(":main.py")


@pytest.mark.parametrize("step", ["exec", "reset", "cp"])
def test_a_step_that_fails_is_told_with_what_to_do(
    board: Path, built: Path, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAILS", step)
    with pytest.raises(FlashingFailed, match=rf"did not do '{step}': .*ENOSPC\. Check the port"):
        flash(built)
    assert not (board / "main.py").exists()


def test_a_port_without_a_board_is_told(board: Path, built: Path) -> None:
    with pytest.raises(FlashingFailed, match=r"The board at /dev/none .*in use by another program"):
        flash(built, "/dev/none")


def test_a_board_that_says_something_else_is_told(board: Path, built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAYS", "Traceback of some kind")
    with pytest.raises(FlashingFailed, match="did not say its label, but 'Traceback of some kind'"):
        flash(built)


def test_without_mpremote_it_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(FlashingFailed, match="pip install mpremote"):
        flashing.mpremote()


def test_a_board_with_the_firmware_in_its_image_loses_the_files_that_would_come_before_it(
    board: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HAS", "frozen 0.1.0")
    (board / "main.py").write_text("old")
    label, told = flash(tmp_path / "nothing was built")
    assert label.network == "pitada-3fa2"
    assert files(board) == set()
    assert "The board's image has the firmware, version 0.1.0" in told


@pytest.mark.parametrize(
    ("said", "words"), [("free 171520", "171520 bytes of memory, too little.*PSRAM"), ("what", "The board said 'what'")]
)
def test_a_board_without_room_for_the_firmware_in_files_keeps_what_it_has(
    board: Path, built: Path, monkeypatch: pytest.MonkeyPatch, said: str, words: str
) -> None:
    monkeypatch.setenv("HAS", said)
    (board / "main.py").write_text("old")
    with pytest.raises(FlashingFailed, match=words):
        flash(built)
    assert files(board) == {"main.py"}


def test_without_a_build_the_board_keeps_what_it_has(board: Path, tmp_path: Path) -> None:
    (board / "main.py").write_text("old")
    with pytest.raises(FlashingFailed, match="make firmware"):
        flash(tmp_path / "nowhere")
    assert files(board) == {"main.py"}


def test_without_a_certificate_nothing_is_begun(board: Path, built: Path, tmp_path: Path) -> None:
    with pytest.raises(FlashingFailed, match="cannot be read"):
        flash(built, ca=tmp_path / "none.crt")
    (tmp_path / "empty.crt").write_text("nothing")
    with pytest.raises(FlashingFailed, match="holds no certificate"):
        flash(built, ca=tmp_path / "empty.crt")
    assert not (tmp_path / "log").exists()
