"""Passwords of MQTT accounts."""

import random
import re
import subprocess
from pathlib import Path

import pytest

from services.devices.passwords import hash_password, matches, new_password

PASSWORD = "k7x2m4q6a5z3n2p4r6t5w7y2b4d6f3h5"


def test_a_password_is_160_random_bits_in_32_plain_characters() -> None:
    seeded = random.Random(1)
    asked: list[int] = []

    def source(size: int) -> bytes:
        asked.append(size)
        return seeded.randbytes(size)

    made = {new_password(source) for _ in range(100)}
    assert len(made) == 100
    assert set(asked) == {20}
    assert all(re.fullmatch(r"[a-z2-7]{32}", password) for password in made)


def test_a_hash_is_matched_by_its_password_and_no_other() -> None:
    stored = hash_password(PASSWORD, random.Random(2).randbytes)
    assert matches(stored, PASSWORD)
    assert not matches(stored, PASSWORD[:-1])
    assert not matches(stored, "")
    assert PASSWORD not in stored


def test_two_hashes_of_one_password_differ_by_their_salt() -> None:
    seeded = random.Random(3)
    assert hash_password(PASSWORD, seeded.randbytes) != hash_password(PASSWORD, seeded.randbytes)


def test_a_line_made_by_mosquitto_passwd_is_matched(tmp_path: Path) -> None:
    file = tmp_path / "passwords"
    subprocess.run(["mosquitto_passwd", "-b", "-c", str(file), "kitchen-1", PASSWORD], check=True, capture_output=True)
    user, _, stored = file.read_text().strip().partition(":")
    assert user == "kitchen-1"
    assert matches(stored, PASSWORD)
    assert not matches(stored, PASSWORD.upper())


def test_a_hash_has_the_same_form_as_mosquittos_own(tmp_path: Path) -> None:
    file = tmp_path / "passwords"
    subprocess.run(["mosquitto_passwd", "-b", "-c", str(file), "kitchen-1", PASSWORD], check=True, capture_output=True)
    theirs = file.read_text().strip().partition(":")[2].split("$")
    ours = hash_password(PASSWORD, random.Random(4).randbytes).split("$")
    assert ours[:3] == theirs[:3] == ["", "7", "101"]
    assert [len(part) for part in ours] == [len(part) for part in theirs]


@pytest.mark.parametrize(
    "stored",
    [
        "",
        "plain",
        "$6$101$c2FsdA==$aGFzaA==",
        "$7$0$c2FsdA==$aGFzaA==",
        "$7$101$c2FsdA==$aGFzaA==",
        "$7$101$not base64$aGFzaA==",
        "$7$101$c2FsdA==$é",
        "$7$²$c2FsdA==$aGFzaA==",
        "$7$99999999999999999999$c2FsdA==$aGFzaA==",
        "$7$101$c2FsdA==$aGFzaA==$more",
    ],
)
def test_a_hash_of_another_form_matches_nothing(stored: str) -> None:
    assert not matches(stored, "salt")
