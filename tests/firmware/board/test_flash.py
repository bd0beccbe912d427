"""Flash slots: old or new content, whatever goes wrong."""

from pathlib import Path

from firmware.board.flash import Flash


def test_what_was_saved_is_read_and_a_write_cut_short_is_not(tmp_path: Path) -> None:
    flash = Flash(str(tmp_path))
    assert flash.read() == {}
    assert flash.save("state.a", b"one")
    assert flash.save("state.a", b"two")
    (tmp_path / "~").write_bytes(b"tor")
    assert Flash(str(tmp_path)).read() == {"state.a": b"two"}


def test_a_write_that_fails_leaves_the_old_content(tmp_path: Path) -> None:
    flash = Flash(str(tmp_path))
    flash.save("state.a", b"one")
    (tmp_path / "~").mkdir()
    assert not flash.save("state.a", b"two")
    assert flash.read() == {"state.a": b"one"}
