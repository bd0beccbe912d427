"""What `make firmware` makes."""

import shutil
import tomllib
from pathlib import Path

import pytest

from firmware.board.version import VERSION
from scripts.build_firmware import PACKAGES, DoesNotCompile, build

ROOT = Path(__file__).resolve().parents[2]

# The file system of a 4 MB ESP32 has about 2 MB; what grows beyond this has to be thought about.
MOST_BYTES = 200_000


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, int]]:
    out = tmp_path_factory.mktemp("build") / "firmware"
    (out / "left").mkdir(parents=True)
    return out, build(ROOT, out)


def test_every_module_of_the_firmware_is_compiled_and_nothing_else(built: tuple[Path, dict[str, int]]) -> None:
    out, sizes = built
    modules = {f"{package}/{one.stem}.mpy" for package in PACKAGES for one in (ROOT / package).glob("*.py")}
    found = {
        str(one.relative_to(out / "board")): one.stat().st_size for one in (out / "board").rglob("*") if one.is_file()
    }
    assert set(found) == modules | {"main.py"}
    assert found == sizes
    assert sum(sizes.values()) < MOST_BYTES
    assert {one.read_bytes()[:1] for one in (out / "board").rglob("*.mpy")} == {b"M"}
    assert sorted(one.name for one in out.iterdir()) == ["board", "manifest.py", "source"]


def test_the_manifest_freezes_the_same_modules(built: tuple[Path, dict[str, int]]) -> None:
    out, sizes = built
    frozen: set[str] = set()

    def package(name: str, base_path: str) -> None:
        base = out / base_path
        frozen.update(str(one.relative_to(base).with_suffix(".mpy")) for one in (base / name).rglob("*.py"))

    def module(name: str, base_path: str) -> None:
        assert (out / base_path / name).is_file()
        frozen.add(name)

    included: list[str] = []
    script = compile((out / "manifest.py").read_text(encoding="utf-8"), "manifest.py", "exec")
    exec(script, {"include": included.append, "package": package, "module": module})  # noqa: S102  # as MicroPython does
    assert frozen == set(sizes)
    assert included == ["$(PORT_DIR)/boards/manifest.py"]


def test_what_does_not_compile_is_named(tmp_path: Path) -> None:
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, dirs_exist_ok=True)
    (tmp_path / "firmware" / "board" / "led.py").write_text("match 1:\n    case 1: pass\n", encoding="utf-8")
    with pytest.raises(
        DoesNotCompile, match=r"(?s)firmware/board/led\.py does not compile for the ESP32: .*SyntaxError"
    ):
        build(tmp_path, tmp_path / "out")


def test_the_firmware_says_the_version_of_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == VERSION
