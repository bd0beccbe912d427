"""Flash that survives a power cut, and a process."""

from pathlib import Path

from simulators.flash import Flash


def test_a_saved_slot_is_read_back() -> None:
    flash = Flash()
    assert flash.save("state.a", b"one")
    assert flash.save("state.a", b"two")
    assert flash.read() == {"state.a": b"two"}
    assert flash.writes == 2


def test_a_full_flash_keeps_the_old_content() -> None:
    flash = Flash()
    flash.save("state.a", b"one")
    flash.full = True
    assert not flash.save("state.a", b"two")
    assert flash.read() == {"state.a": b"one"}


def test_what_a_boot_read_does_not_change_with_later_saves() -> None:
    flash = Flash()
    read = flash.read()
    flash.save("state.a", b"one")
    assert read == {}


def test_a_directory_carries_the_slots_over_to_the_next_process(tmp_path: Path) -> None:
    Flash(tmp_path / "disp-1").save("state.a", b"one")
    assert Flash(tmp_path / "disp-1").read() == {"state.a": b"one"}


def test_a_write_that_was_cut_short_leaves_the_old_content(tmp_path: Path) -> None:
    Flash(tmp_path).save("state.a", b"old")
    (tmp_path / "state.a.tmp").write_bytes(b"ne")
    assert Flash(tmp_path).read() == {"state.a": b"old"}


def test_a_directory_that_cannot_be_written_fails_the_save_and_keeps_the_old_content(tmp_path: Path) -> None:
    directory = tmp_path / "disp-1"
    flash = Flash(directory)
    flash.save("state.a", b"old")
    (directory / "state.a").unlink()
    directory.rmdir()
    assert not flash.save("state.a", b"new")
    assert flash.read() == {"state.a": b"old"}


def test_a_wiped_flash_is_empty_in_the_directory_too(tmp_path: Path) -> None:
    flash = Flash(tmp_path)
    flash.save("state.a", b"one")
    flash.wipe()
    assert flash.read() == {}
    assert Flash(tmp_path).read() == {}
