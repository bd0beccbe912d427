"""Passwords of MQTT accounts: made here, shown once, kept only as a hash that Mosquitto can read too.

A hash is `$7$<iterations>$<salt, base64>$<PBKDF2-HMAC-SHA512, base64>`, the line format of `mosquitto_passwd`, so the
embedded broker and a Mosquitto password file are fed from the same rows.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable

# How random bytes are asked for: `secrets.token_bytes` in service, a seeded source in a test.
RandomBytes = Callable[[int], bytes]

# 160 bits cannot be guessed, and make 32 base32 characters with no padding.
PASSWORD_BYTES = 20

# Mosquitto's own count. A slow hash protects passwords that people choose; nobody can search 160 random bits.
ITERATIONS = 101

# Above this a hash is not ours: it would let a row of the table stall every sign-in.
MAX_ITERATIONS = 1_000_000

# As `mosquitto_passwd` does it: 12 bytes are 16 characters of base64.
SALT_BYTES = 12

HASH_BYTES = 64


def new_password(random_bytes: RandomBytes) -> str:
    """160 random bits as 32 characters of `a-z2-7`: no letter that is mistaken for a digit, nothing to escape."""
    return base64.b32encode(random_bytes(PASSWORD_BYTES)).decode().lower()


def hash_password(password: str, random_bytes: RandomBytes) -> str:
    """The hash to keep, with a salt of its own."""
    salt = random_bytes(SALT_BYTES)
    return f"$7${ITERATIONS}${_base64(salt)}${_base64(_derive(password, salt, ITERATIONS))}"


def matches(stored: str, password: str) -> bool:
    """Whether `password` made the hash `stored`; compared in constant time. False for a hash of another form."""
    parts = stored.split("$")
    if len(parts) != 5 or parts[0] or parts[1] != "7" or not parts[2].isdecimal():
        return False
    iterations = int(parts[2]) if len(parts[2]) <= 7 else MAX_ITERATIONS + 1
    if not 1 <= iterations <= MAX_ITERATIONS:
        return False
    try:
        salt = base64.b64decode(parts[3], validate=True)
        expected = base64.b64decode(parts[4], validate=True)
    except (binascii.Error, ValueError):
        return False
    if len(expected) != HASH_BYTES:
        return False
    return hmac.compare_digest(_derive(password, salt, iterations), expected)


def _derive(password: str, salt: bytes, iterations: int) -> bytes:
    return hashlib.pbkdf2_hmac("sha512", password.encode(errors="surrogatepass"), salt, iterations, HASH_BYTES)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
