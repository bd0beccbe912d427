"""What may be set, and the words for what may not."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.board import settings
from firmware.board.settings import BadSetting, Settings, from_bytes, from_form

PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
FORM = {
    "ssid": "Kitchen",
    "wifi_password": "longenough",
    "server": "pitada.local",
    "port": "8883",
    "tls": "on",
    "certificates": PEM,
    "device": "kitchen",
    "password": "secret",
    "counts_per_g": "",
}
KEPT = Settings("Kitchen", "longenough", "pitada.local", 8883, PEM, "kitchen", "secret", 0)


def values(one: Settings | None) -> dict[str, object]:
    return {name: getattr(one, name) for name in Settings.NAMES}


@pytest.mark.parametrize(
    ("check", "text", "kept"),
    [
        (settings.ssid, "Café ☕", "Café ☕"),
        (settings.ssid, " spaces count ", " spaces count "),
        (settings.ssid, "x" * 32, "x" * 32),
        (settings.wifi_password, "", ""),
        (settings.wifi_password, "12345678", "12345678"),
        (settings.wifi_password, "x" * 63, "x" * 63),
        (settings.wifi_password, "aF" * 32, "aF" * 32),
        (settings.server, " Pitada.Local ", "pitada.local"),
        (settings.server, "pitada", "pitada"),
        (settings.server, "192.168.1.20", "192.168.1.20"),
        (settings.port, " 1883 ", 1883),
        (settings.port, "65535", 65535),
        (settings.certificates, "words before\r\n" + PEM.replace("\n", "\r\n") + "after", PEM),
        (settings.certificates, PEM + "\n\n" + PEM, PEM + PEM),
        (settings.device, " line-1 ", "line-1"),
        (settings.password, " abcd \n", "abcd"),
        (settings.counts_per_g, "", 0),
        (settings.counts_per_g, "0", 0),
        (settings.counts_per_g, " -420 ", -420),
    ],
)
def test_what_is_right_is_kept(check: Callable[[str], object], text: str, kept: object) -> None:
    assert check(text) == kept


@pytest.mark.parametrize(
    ("check", "text", "words"),
    [
        (settings.ssid, "", "type its name"),
        (settings.ssid, "é" * 17, "up to 32 characters"),
        (settings.ssid, "a\nb", "Copy it"),
        (settings.wifi_password, "1234567", "8 to 63"),
        (settings.wifi_password, "x" * 64, "8 to 63"),
        (settings.wifi_password, "12345678\t", "Type it instead of pasting"),
        (settings.server, "  ", "192.168.1.20"),
        (settings.server, "mqtt://pitada.local", "without mqtt://"),
        (settings.server, "pitada.local/", "without a slash"),
        (settings.server, "pitada.local:8883", "port in the field below"),
        (settings.server, "pitada local", "letters, digits, dots and hyphens"),
        (settings.server, "-a.b", "letters, digits, dots and hyphens"),
        (settings.server, "a..b", "letters, digits, dots and hyphens"),
        (settings.server, "a" * 64, "letters, digits, dots and hyphens"),
        (settings.server, "192.168.1.256", "four numbers up to 255"),
        (settings.server, "192.168.1", "four numbers up to 255"),
        (settings.port, "", "1 to 65535"),
        (settings.port, "0", "1 to 65535"),
        (settings.port, "65536", "1 to 65535"),
        (settings.port, "-1", "1 to 65535"),
        (settings.port, "1e3", "1 to 65535"),
        (settings.port, "١٢", "1 to 65535"),
        (settings.certificates, "", "Paste the whole file"),
        (settings.certificates, "-----END CERTIFICATE----- -----BEGIN CERTIFICATE-----", "Paste the whole file"),
        (settings.certificates, PEM.replace("MIIB", "M" * 4000), "more than the dispenser can hold"),
        (settings.device, "", "Paste the claim code"),
        (settings.device, "Kitchen", "small letters only"),
        (settings.device, "ab", "3 to 32"),
        (settings.device, "a b c", "3 to 32"),
        (settings.device, "x" * 33, "3 to 32"),
        (settings.password, "", "pitada devices password"),
        (settings.password, "x" * 129, "up to 128"),
        (settings.password, "a\tb", "Copy it again"),
        (settings.counts_per_g, "4.2", "whole number"),
        (settings.counts_per_g, "--1", "whole number"),
        (settings.counts_per_g, "-", "whole number"),
        (settings.counts_per_g, "1000001", "whole number"),
    ],
)
def test_what_is_wrong_is_told_with_what_to_do(check: Callable[[str], object], text: str, words: str) -> None:
    with pytest.raises(BadSetting) as problem:
        check(text)
    assert words in str(problem.value)


def test_a_form_gives_settings_and_they_survive_being_kept() -> None:
    made, problems = from_form(FORM, None, "")
    assert problems == {}
    assert made is not None
    assert values(made) == values(KEPT)
    assert values(from_bytes(made.to_bytes())) == values(KEPT)


def test_a_claim_code_is_id_and_password_in_one() -> None:
    made, _problems = from_form({**FORM, "device": " line-1:pass:word ", "password": "ignored"}, KEPT, "")
    assert made is not None
    assert (made.device, made.password) == ("line-1", "pass:word")
    made, problems = from_form({**FORM, "device": "line-1:", "password": "secret"}, None, "")
    assert made is None
    assert set(problems) == {"password"}
    made, problems = from_form({**FORM, "device": ":secret", "password": ""}, None, "")
    assert set(problems) == {"device"}


def test_every_problem_of_a_form_is_told_at_its_field() -> None:
    made, problems = from_form({"tls": "on"}, None, "")
    assert made is None
    assert set(problems) == {"ssid", "server", "port", "certificates", "device", "password"}


def test_without_encryption_no_certificate_is_kept() -> None:
    made, _problems = from_form({**FORM, "tls": ""}, KEPT, PEM)
    assert made is not None
    assert made.certificates == ""


def test_a_certificate_that_was_flashed_is_used_unless_another_is_given() -> None:
    other = PEM.replace("MIIB", "MIIC")
    made, _problems = from_form({**FORM, "certificates": ""}, None, other)
    assert made is not None
    assert made.certificates == other
    made, _problems = from_form(FORM, None, other)
    assert made is not None
    assert made.certificates == PEM


def test_a_secret_left_empty_stays_as_it_was_for_the_same_wifi_and_dispenser() -> None:
    left = {**FORM, "wifi_password": "", "password": "", "certificates": ""}
    made, _problems = from_form(left, KEPT, "")
    assert values(made) == values(KEPT)
    made, problems = from_form({**left, "ssid": "Other", "device": "line-1", "server": "other"}, KEPT, "")
    assert made is None
    assert set(problems) == {"password", "certificates"}


@given(st.binary(max_size=200))
def test_damaged_settings_are_none(data: bytes) -> None:
    assert from_bytes(data) is None


@pytest.mark.parametrize("damage", [b"{}", b"[1]", b"null", b'{"ssid": 1}'])
def test_settings_of_another_form_are_none(damage: bytes) -> None:
    assert from_bytes(damage) is None
    assert from_bytes(KEPT.to_bytes().replace(b"8883", b"88830")) is None
