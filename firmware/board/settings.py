"""What a person sets in a dispenser: which Wi-Fi, which server, which dispenser it is, and its load cell.

Each field is checked by a function that returns the value to keep, or raises `BadSetting` with words for that person.
"""

import json

from protocol.fields import DEVICE_CHARS, DIGITS, HEX_CHARS, LOWER, BadValue
from protocol.messages import DEVICE_ID

# MQTT's own ports: plain, and with TLS.
PLAIN_PORT = 1883
TLS_PORT = 8883

# A claim code is the id and the password in one: what `pitada devices claim` prints to be copied.
_CLAIM_SEPARATOR = ":"

# Passwords that Pitada makes have 32 characters; people may set longer ones.
_MAX_PASSWORD = 128

# Some certificates. NVS has about 20 kB, and holds the old and the new settings while it writes.
_MAX_CERTIFICATES = 4000
_BEGIN = "-----BEGIN CERTIFICATE-----"
_END = "-----END CERTIFICATE-----"

# A cell and an HX711 give some hundred counts a gram; a million is a typing error.
_MAX_COUNTS_PER_G = 1_000_000

_HOST_CHARS = LOWER + DIGITS + "-."
_MAX_HOST = 253


class BadSetting(ValueError):
    """The field cannot have this value. The text says what to do, to the person who typed it."""


def ssid(text: str) -> str:
    if not text:
        raise BadSetting("Choose your Wi-Fi network, or type its name.")
    if len(text.encode()) > 32 or _has_control(text):
        raise BadSetting("No Wi-Fi has such a name: it has up to 32 characters. Copy it from your phone's Wi-Fi list.")
    return text


def wifi_password(text: str) -> str:
    """Empty for an open network."""
    if text and not (8 <= len(text.encode()) <= 63 or (len(text) == 64 and not text.lower().strip(HEX_CHARS))):
        raise BadSetting("A Wi-Fi password has 8 to 63 characters. Type it again, or leave it empty for an open Wi-Fi.")
    if _has_control(text):
        raise BadSetting("The Wi-Fi password has a character that no keyboard types. Type it instead of pasting it.")
    return text


def server(text: str) -> str:
    host = text.strip().lower()
    if not host:
        raise BadSetting("Type the address of your Pitada server, for example pitada.local or 192.168.1.20.")
    if "://" in host or "/" in host:
        raise BadSetting("Type only the server's name, without mqtt:// and without a slash.")
    if ":" in host:
        raise BadSetting("Type only the server's name here, and its port in the field below.")
    labels = host.split(".")
    if len(host) > _MAX_HOST or host.strip(_HOST_CHARS) or not all([_is_label(label) for label in labels]):
        raise BadSetting("This is no server name: it has letters, digits, dots and hyphens. Example: pitada.local")
    if not host.strip(DIGITS + ".") and not (len(labels) == 4 and all([int(label) <= 255 for label in labels])):
        raise BadSetting("This is no IP address: it has four numbers up to 255. Example: 192.168.1.20")
    return host


def port(text: str) -> int:
    text = text.strip()
    if not text or text.strip(DIGITS) or len(text) > 5 or not 1 <= int(text) <= 65535:
        raise BadSetting(f"A port is a number from 1 to 65535: {TLS_PORT} with encryption, {PLAIN_PORT} without.")
    return int(text)


def certificates(text: str) -> str:
    """PEM, one certificate or more; anything around them is left out."""
    found = []
    rest = text.replace("\r", "")
    while _BEGIN in rest and _END in rest[rest.index(_BEGIN) :]:
        start = rest.index(_BEGIN)
        end = rest.index(_END, start) + len(_END)
        found.append(rest[start:end])
        rest = rest[end:]
    if not found:
        raise BadSetting(f"Paste the whole file ca.crt, from {_BEGIN} to {_END}, or turn encryption off.")
    kept = "\n".join(found) + "\n"
    if len(kept) > _MAX_CERTIFICATES:
        raise BadSetting(
            "This is more than the dispenser can hold. Paste only the certificate of your authority, ca.crt."
        )
    return kept


def device(text: str) -> str:
    name = text.strip()
    try:
        DEVICE_ID.check(name)
    except BadValue:
        if not name:
            raise BadSetting("Paste the claim code that pitada devices claim printed, or type the dispenser's id.")
        if not name.lower().strip(DEVICE_CHARS) and 3 <= len(name) <= 32:
            raise BadSetting("A dispenser's id has small letters only. Type it as it was claimed.")
        raise BadSetting("A dispenser's id has 3 to 32 small letters, digits and hyphens. Type it as it was claimed.")
    return name


def password(text: str) -> str:
    secret = text.strip()
    if not secret:
        raise BadSetting(
            "Type the password that belongs to this id. Lost? On the server, pitada devices password makes a new one."
        )
    if len(secret) > _MAX_PASSWORD or _has_control(secret):
        raise BadSetting(f"A dispenser's password has up to {_MAX_PASSWORD} characters on one line. Copy it again.")
    return secret


def counts_per_g(text: str) -> int:
    """0: there is no load cell."""
    number = text.strip()
    digits = number[1:] if number.startswith("-") else number
    if not number or number == "0":
        return 0
    if not digits or digits.strip(DIGITS) or len(digits) > 7 or not 0 < int(digits) <= _MAX_COUNTS_PER_G:
        raise BadSetting(
            "Type a whole number of counts per gram, with a minus where needed; empty without a load cell."
        )
    return int(number)


class Settings:
    """All of it. `certificates` is empty where the connection is not encrypted."""

    NAMES = ("ssid", "wifi_password", "server", "port", "certificates", "device", "password", "counts_per_g")

    __slots__ = NAMES

    def __init__(
        self,
        ssid: str,
        wifi_password: str,
        server: str,
        port: int,
        certificates: str,
        device: str,
        password: str,
        counts_per_g: int,
    ) -> None:
        self.ssid = ssid
        self.wifi_password = wifi_password
        self.server = server
        self.port = port
        self.certificates = certificates
        self.device = device
        self.password = password
        self.counts_per_g = counts_per_g

    def to_bytes(self) -> bytes:
        """The form to keep."""
        return json.dumps({name: getattr(self, name) for name in self.NAMES}).encode()


def from_bytes(data: bytes) -> "Settings | None":
    """What `to_bytes` gave; None when it is damaged: then the dispenser has to be set up again."""
    try:
        kept = json.loads(data)
        form = {name: str(kept[name]) for name in Settings.NAMES}
        form["tls"] = "on" if kept["certificates"] else ""
    except (ValueError, TypeError, KeyError):
        return None
    settings, _problems = from_form(form, None, "")
    return settings


def from_form(
    form: "dict[str, str]", kept: "Settings | None", flashed: str
) -> "tuple[Settings | None, dict[str, str]]":
    """The settings that a form asks for, or what is wrong with it: words by field name.

    `device` may be a claim code, which brings the password too. A secret that is left empty stays what it was in
    `kept`, as long as it is for the same Wi-Fi or dispenser. Where no certificate is given, `flashed` is the one that
    the board was flashed with.
    """
    found = {}  # type: dict[str, object]
    problems = {}  # type: dict[str, str]
    filled = dict(form)
    name, is_code, password = filled.get("device", "").strip().partition(_CLAIM_SEPARATOR)
    if is_code:
        filled["device"], filled["password"] = name, password
    if kept is not None:
        for secret, of in (("wifi_password", "ssid"), ("password", "device"), ("certificates", "server")):
            if not filled.get(secret) and filled.get(of, "").strip() == getattr(kept, of):
                filled[secret] = getattr(kept, secret)
    if not filled.get("certificates"):
        filled["certificates"] = flashed
    for field, check in _CHECKS:
        if field == "certificates" and not filled.get("tls"):
            found[field] = ""
            continue
        try:
            found[field] = check(filled.get(field, ""))
        except BadSetting as problem:
            problems[field] = str(problem)
    if problems:
        return None, problems
    return Settings(**found), problems  # type: ignore[arg-type]  # each check returns what its field is


_CHECKS = (
    ("ssid", ssid),
    ("wifi_password", wifi_password),
    ("server", server),
    ("port", port),
    ("certificates", certificates),
    ("device", device),
    ("password", password),
    ("counts_per_g", counts_per_g),
)


def _has_control(text: str) -> bool:
    return any([character < " " or character == "\x7f" for character in text])


def _is_label(label: str) -> bool:
    return 0 < len(label) <= 63 and not label.startswith("-") and not label.endswith("-")
