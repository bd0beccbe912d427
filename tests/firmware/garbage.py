"""Garbage from a broker: packets and payloads that are nearly right, and a dispenser that stands in it."""

import json
import random

from firmware.core.dispenser import Dispenser
from firmware.core.ports import (
    Booted,
    Connect,
    Disconnect,
    Linked,
    OpenFlask,
    Port,
    Received,
    Sample,
    Sampled,
    Save,
    Saved,
    Send,
    Woke,
)
from protocol import codec, topics
from protocol.messages import (
    CancelJob,
    CompletionReceived,
    ConfigureDispenser,
    OfferedItem,
    OfferJob,
    ResendCompletions,
)
from tests.firmware.bench import flask
from tests.firmware.broker import DEVICE, FakeBroker

# An epoch that no dispenser has here: what is left whole by chance must not be a real order.
NO_EPOCH = "00000000"


def bent(rng: random.Random, data: bytes) -> bytes:
    """The bytes with a few changed, added or missing."""
    out = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        kind = rng.randrange(3)
        at = rng.randrange(len(out) + 1)
        if kind == 0 and at < len(out):
            out[at] = rng.randrange(256)
        elif kind == 1:
            out[at:at] = rng.randbytes(rng.randint(1, 5))
        else:
            out[at : at + rng.randint(1, 5)] = b""
    return bytes(out)


def values(rng: random.Random, depth: int = 0) -> object:
    """Any JSON value, mostly of the kinds that break parsers."""
    choices: list[object] = [None, True, -1, 0, 1, 2**31, 10**12, 1e400, "", "a", "\ud800", "job-1", "x" * 200, [], {}]
    if depth < 3 and rng.random() < 0.4:
        names = ["job", "seq", "epoch", "items", "flask", "target_mg", "version", "flasks", "from_seq", "online"]
        if rng.random() < 0.5:
            return [values(rng, depth + 1) for _ in range(rng.randrange(20))]
        return {name: values(rng, depth + 1) for name in rng.sample(names, rng.randrange(len(names)))}
    return rng.choice(choices)


class Downpour:
    """A dispenser with a broker that goes mad whenever it is online. `opened` must stay 0."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._now_ms = 0
        self._broker = FakeBroker()
        self._dispenser = Dispenser(DEVICE, "secret", "1", rng.getrandbits)
        self._wake_at_ms: int | None = None
        self._good = [
            codec.encode(OfferJob(job="j", seq=5, epoch=NO_EPOCH, items=(OfferedItem(flask=1, target_mg=5),))),
            codec.encode(CancelJob(job="j", seq=5, epoch=NO_EPOCH)),
            codec.encode(CompletionReceived(job="j", seq=5, epoch=NO_EPOCH)),
            codec.encode(ResendCompletions(from_seq=1)),
            codec.encode(ConfigureDispenser(version=1, flasks=(flask(1), flask(2)))),
        ]
        self.opened = 0
        self.connects = 0
        self.heard = 0
        """Packets that made the dispenser do something."""
        self._step(Booted({}, "power_on"))

    def pour(self, count: int) -> None:
        """Send so many packets, each broken in one way or another."""
        for _ in range(count):
            while not self._broker.listening:
                self._wake()
            self._now_ms += 10
            self.heard += self._step(Received(self._packet()))
            self._broker.sent.clear()
            self._broker.acknowledged.clear()
            if self._wake_at_ms is not None and self._now_ms >= self._wake_at_ms:
                self._step(Woke())

    def _packet(self) -> bytes:
        rng = self._rng
        kind = rng.randrange(10)
        topic = rng.choice(topics.CHANNELS).topic(DEVICE, 1)
        if kind == 0:  # the stream itself: the dispenser gives it up and comes back
            return bent(rng, self._broker.message(topic, rng.choice(self._good)))
        if kind < 4:
            return self._broker.message(topic, bent(rng, rng.choice(self._good)))
        if kind < 5:
            return self._broker.message(topic, rng.randbytes(rng.randrange(200)))
        return self._broker.message(topic, json.dumps(values(rng)).encode()[:4096])

    def _wake(self) -> None:
        if self._wake_at_ms is not None:
            self._now_ms = max(self._now_ms, self._wake_at_ms)
        self._step(Woke())

    def _step(self, fact: Port) -> bool:
        """Whether anything was ordered. Its orders are carried out at once."""
        facts = [fact]
        has_done = False
        while facts:
            orders, self._wake_at_ms = self._dispenser.step(self._now_ms, facts.pop(0))
            has_done = has_done or bool(orders)
            for order in orders:
                if isinstance(order, Connect):
                    self.connects += 1
                    self._broker.opened()
                    facts.append(Linked())
                elif isinstance(order, Send):
                    answer = self._broker.feed(order.data)
                    if answer:
                        facts.append(Received(answer))
                elif isinstance(order, Save):
                    facts.append(Saved(order.slot, True))
                elif isinstance(order, Sample):
                    facts.append(Sampled(-60, 90_000))
                elif isinstance(order, OpenFlask):
                    self.opened += 1
                elif isinstance(order, Disconnect):
                    self._broker.dropped()
                    facts = [one for one in facts if not isinstance(one, Received)]
        return has_done
