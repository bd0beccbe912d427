"""From a message as it came to a fact with its sender, or to a dead letter with its reason. No I/O."""

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from protocol import codec, topics
from protocol.fields import BadValue, Record
from protocol.limits import MAX_PAYLOAD_BYTES
from protocol.messages import CompletionReceived
from services.ledger.dead_letters import KEPT_BYTES, DeadLetter
from services.ledger.decoding import decode

# Topics whose parse is remembered: those of a fleet of 2,000, a few hundred bytes each. Bad ones are not.
TOPICS_KNOWN = 16_384


class Incoming(NamedTuple):
    """A message as the broker delivered it."""

    topic: str
    payload: bytes


class Fact(NamedTuple):
    """A message that is what its topic promises. `flask` is the topic's, for progress."""

    device: str
    flask: int | None
    message: Record
    came_as: Incoming


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A message that is not. `receipt` is there when it can still be told which completion it was meant to be."""

    device: str | None
    letter: DeadLetter
    receipt: CompletionReceived | None


# What a message says. None for the empty payload that clears a retained message: it says nothing.
Read = Fact | Unreadable | None

_parse = lru_cache(TOPICS_KNOWN)(topics.parse)


def read(incoming: Incoming) -> Read:
    """What the message says."""
    try:
        device, channel, flask = _parse(incoming.topic)
    except topics.BadTopic as error:
        return Unreadable(None, dead(incoming, "bad_topic", str(error)), None)
    if channel.sender != topics.DEVICE_ROLE:
        return Unreadable(device, dead(incoming, "bad_topic", f"{channel.name} is not for dispensers to send"), None)
    if not incoming.payload and channel.retained:
        return None
    try:
        return Fact(device, flask, decode(channel.record, incoming.payload), incoming)
    except codec.Malformed as error:
        reason = "too_large" if len(incoming.payload) > MAX_PAYLOAD_BYTES else "malformed"
        receipt = _receipt_of(incoming.payload) if channel is topics.COMPLETION else None
        return Unreadable(device, dead(incoming, reason, str(error)), receipt)


def dead(incoming: Incoming, reason: str, detail: str) -> DeadLetter:
    """The message as a dead letter."""
    return DeadLetter(incoming.topic, incoming.payload, reason, detail)


def _receipt_of(payload: bytes) -> CompletionReceived | None:
    """The receipt for a broken completion, so that its sender stops repeating it: only when all of it is kept."""
    if len(payload) > KEPT_BYTES:
        return None
    try:
        values = json.loads(payload.decode())
        return CompletionReceived(job=values["job"], seq=values["seq"], epoch=values["epoch"])
    except (ValueError, LookupError, TypeError, RecursionError, BadValue):
        return None
