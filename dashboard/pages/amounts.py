"""Grams as people type them."""

import re

from protocol.limits import MAX_TARGET_MG

_NUMBER = re.compile(r"([0-9]{1,6})(?:[.,]([0-9]{1,3}))?")


class BadAmount(ValueError):
    """An amount that cannot be taken as it was typed. The text says what to write instead."""


def parse_grams(typed: str) -> int | None:
    """Milligrams from one flask; None for an empty field. Raises `BadAmount`."""
    amount_mg = parse_thousandths(typed)
    if amount_mg is not None and amount_mg > MAX_TARGET_MG:
        raise BadAmount(f"{typed.strip()} is more than the {MAX_TARGET_MG // 1000} g that one flask can be asked for.")
    return amount_mg


def parse_thousandths(typed: str) -> int | None:
    """Thousandths; None for an empty field. Takes a point or a comma; refuses what could be read in two ways."""
    text = typed.strip().removesuffix("g").strip()
    if not text:
        return None
    match = _NUMBER.fullmatch(text)
    if match is None:
        raise BadAmount(f"“{typed.strip()[:20]}” is not an amount in grams. Write it like 12.5.")
    whole, rest = match.group(1), match.group(2) or ""
    if len(rest) == 3 and whole.strip("0"):
        # In half of the world 1.500 is one and a half, in the other half it is fifteen hundred.
        raise BadAmount(f"“{text}” can mean {whole}{rest} g or {whole}.{rest.rstrip('0') or '0'} g. Write one of them.")
    return int(whole) * 1000 + int(rest.ljust(3, "0"))
